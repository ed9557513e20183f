"""The figures of outages and brown-outs, and their bounds.

During the outage are the questions that ended after the kill and were asked before the restart. Those whose answers
had begun when the server was killed are cut in the middle with and without a filter, and are shown apart.
"""

from collections import Counter
from pathlib import Path
from statistics import mean

from tests.lab import report

PATIENCE = 0.5
LESS = 0.62


class Outage:
    def __init__(self, name, calls, killed, restarted, closed, log, counters):
        self.name = name
        during = [call for call in calls if killed <= call[1] + call[2] and call[1] < restarted]
        self.during = {kind: Kind([call for call in during if call[0] == kind]) for kind in ("repeated", "new")}
        self.after = Kind([call for call in calls if call[1] >= closed])
        self.closed = round(closed - restarted, 2) if counters.get("breaker_closed") else None
        self.probed = probes(log)
        self.counters = counters

    def document(self):
        kinds = {kind: vars(one) for kind, one in self.during.items()}
        return vars(self) | {"during": kinds, "after": vars(self.after)}


class Kind:
    def __init__(self, calls):
        waits = [call[2] for call in calls] or [0]
        self.asked = len(calls)
        self.got = dict(Counter(call[3] for call in calls).most_common())
        self.longest, self.p50, self.p99 = max(waits), report.percentile(waits, 50), report.percentile(waits, 99)

    def share(self, *whats):
        """Of those that were not cut in the middle."""
        whole = self.asked - self.got.get("cut", 0)
        return sum(self.got.get(what, 0) for what in whats) / max(whole, 1)


class BrownOut:
    def __init__(self, name, calls, begin):
        self.name = name
        brown = [call for call in calls if call[1] >= begin]
        self.short = Kind([call for call in brown if call[0] == "short"])
        self.long = Kind([call for call in brown if call[0] == "long"])
        self.mean = mean(call[2] for call in brown if call[0] == "short")
        self.calm = mean(call[2] for call in calls if call[0] == "short" and call[1] < begin)

    def document(self):
        return vars(self) | {"short": vars(self.short), "long": vars(self.long)}


def probes(log):
    """The number of requests that reached the server that came back before it had answered one."""
    return sum(at < min(log["answers"]) for at, _ in log["arrivals"]) if log["answers"] else 0


def write(outages, brown_outs, timeout, most_probes, file: Path) -> bool:
    """Prints the tables, keeps the numbers, and says whether every bound was kept."""
    rows = [(one.name, kind, one.during[kind]) for one in outages for kind in one.during]
    print(report.table(OUTAGE, rows), report.table(BROWN_OUT, brown_outs), "", sep="\n\n")
    ours, alone, browned = outages[-1], brown_outs[0], brown_outs[-1]
    repeated, new = ours.during["repeated"].share("cluster", "cached"), ours.during["new"].share("cluster", "default")
    longest = max(kind.longest for kind in ours.during.values())
    probed = 1 <= ours.probed <= most_probes
    less = 1 - browned.mean / alone.mean
    kept = {
        f"every repeated question answered: {repeated:.2%}": repeated == 1,
        f"every new one answered, or told in the right shape: {new:.2%}": new == 1,
        f"nobody waits longer than {timeout} s: {longest:.2f} s": longest <= timeout + PATIENCE,
        f"at most {most_probes} probes to the server before it answers one: {ours.probed}": probed,
        f"breaker closed, and all is as before, {ours.closed} s after the restart": ours.after.share("cluster") == 1,
        f"mean of short requests lower by {LESS:.0%}: {less:.1%}": less >= LESS,
    }
    documents = {"outages": [one.document() for one in outages], "brown_outs": [one.document() for one in brown_outs]}
    report.write(documents | {"bounds": kept}, file)
    all_kept = report.bounds(kept)
    print(f"\nwith the filter: {', '.join(f'{what} {number}' for what, number in ours.counters.items())}")
    return all_kept


def errors(kind):
    return sum(number for what, number in kind.got.items() if what.startswith("error") or what == "misshapen")


def of(what):
    return lambda row: f"{row[2].got.get(what, 0):,}"


OUTAGE = (
    ("while the server is dead", lambda row: row[0]),
    ("questions", lambda row: row[1]),
    ("asked", lambda row: f"{row[2].asked:,}"),
    ("cluster", of("cluster")),
    ("cached", of("cached")),
    ("default", of("default")),
    ("errors", lambda row: f"{errors(row[2]):,}"),
    ("cut", of("cut")),
    ("p50", lambda row: f"{row[2].p50 * 1000:.0f} ms"),
    ("p99", lambda row: f"{row[2].p99 * 1000:.0f} ms"),
    ("longest", lambda row: f"{row[2].longest:.2f} s"),
)

BROWN_OUT = (
    ("one prompt in ten is slow", lambda row: row.name),
    ("short", lambda row: f"{row.short.asked:,}"),
    ("answered", lambda row: f"{row.short.share('cluster', 'cached'):.1%}"),
    ("mean", lambda row: f"{row.mean:.2f} s"),
    ("p50", lambda row: f"{row.short.p50:.2f} s"),
    ("p99", lambda row: f"{row.short.p99:.2f} s"),
    ("mean in calm", lambda row: f"{row.calm:.2f} s"),
    ("long", lambda row: f"{row.long.asked:,}"),
    ("answered", lambda row: f"{row.long.share('cluster', 'cached'):.1%}"),
    ("p50", lambda row: f"{row.long.p50:.2f} s"),
)
