"""The answers that the honest clients of each scenario got, and its bounds."""

from collections import Counter
from pathlib import Path

from tests.lab import report


class Run:
    def __init__(self, scenario, calls, arrivals, counters):
        self.scenario = scenario
        self.name = scenario.name
        honest = [call for call in calls if call[0] == "honest"]
        back = [call for call in honest if call[1] >= scenario.outage]
        honest = [call for call in honest if call[1] >= scenario.since]
        self.attackers = dict(Counter(call[3] for call in calls if call[0] == "attacker"))
        self.asked = len(honest)
        self.got = dict(Counter(call[3] for call in honest))
        self.answered = self.got.get("answered", 0)
        self.smaller = self.got.get("smaller", 0)
        self.reached = len(arrivals)
        self.counters = counters
        self.since_back = sum(is_answered(call) for call in back) / len(back) if back and scenario.since else None

    def bounds(self):
        wanted = self.scenario
        if wanted.answered is not None:
            share = (self.answered + self.smaller) / self.asked
            yield f"{self.name}: answered, at least {wanted.answered:.0%}: {share:.1%}", share >= wanted.answered
        if wanted.smaller is not None:
            yield f"{self.name}: made smaller, at most {wanted.smaller}: {self.smaller}", self.smaller <= wanted.smaller
        if wanted.reach is not None:
            yield f"{self.name}: at most {wanted.reach} reach the server: {self.reached}", self.reached <= wanted.reach
        if wanted.opens is not None:
            opened, word = self.counters["breaker_opened"], "opens" if wanted.opens else "stays closed"
            yield f"{self.name}: the breaker {word}", (opened > 0) == wanted.opens

    def document(self):
        return {name: value for name, value in vars(self).items() if name != "scenario"}


def is_answered(call):
    return call[3] in ("answered", "smaller")


def write(runs, file: Path) -> bool:
    """Prints the table, keeps the numbers, and says which bounds were broken."""
    print(report.table(COLUMNS, runs), end="\n\n")
    kept = dict(bound for run in runs for bound in run.bounds())
    report.write({"runs": [run.document() for run in runs], "bounds": kept}, file)
    return report.bounds(kept)


def counted(what):
    return lambda run: str(run.counters[what])


COLUMNS = (
    ("beside the honest", lambda run: run.name),
    ("honest asked", lambda run: str(run.asked)),
    ("answered", lambda run: str(run.answered)),
    ("made smaller", lambda run: str(run.smaller)),
    ("neither", lambda run: str(run.asked - run.answered - run.smaller)),
    ("since it is back", lambda run: "" if run.since_back is None else f"{run.since_back:.1%}"),
    ("at the server", lambda run: str(run.reached)),
    ("failures", counted("failures")),
    ("opened", counted("breaker_opened")),
    ("closed", counted("breaker_closed")),
    ("probes", counted("probes")),
)
