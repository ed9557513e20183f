"""The figures of storms and waves, and their bounds.

Load is what reached the server over the first attempts that were made, while it failed. Goodput is how many calls ended
well and within IN_TIME seconds, in a window of WINDOW seconds; it is back when it has passed BACK of what it was in
calm for HOLDS seconds on end.
"""

from bisect import bisect_left
from collections import Counter
from pathlib import Path

from tests.lab import report

IN_TIME = 2.0
WINDOW = 1.0
HOLDS = 3.0
STEP = 0.1
BACK = 0.95
MOST_LOAD = 1.25
MOST_PEAK = 3.0
SLOT = 0.1


class Storm:
    def __init__(self, name, calls, arrivals, begin, failing, recovery, end, statistics):
        self.name = name
        self.statistics = statistics
        self._ended_well = sorted(call[1] for call in calls if is_good(call))
        self._end = end
        while_failing = [call for call in calls if failing <= call[0] < recovery]
        after = [call for call in calls if recovery <= call[0]]
        self.first_attempts = len(while_failing)
        self.attempts = sum(failing <= at < recovery for at in arrivals)
        self.load = self.attempts / self.first_attempts
        self.peak = max(Counter(int(at - begin) for at in arrivals).values())
        self.failed = failures(while_failing)
        self.in_time = sum(map(is_good, while_failing)) / len(while_failing)
        self.failed_after = failures(after)
        self.calm = self._goodput(begin + WINDOW, failing)
        self.back = self._back(recovery)

    def _goodput(self, begin, end):
        return (bisect_left(self._ended_well, end) - bisect_left(self._ended_well, begin)) / (end - begin)

    def _back(self, recovery):
        """Seconds from the recovery until goodput is back; None if it was not by the end."""
        since = at = recovery
        while at + WINDOW <= self._end:
            if self._goodput(at, at + WINDOW) < BACK * self.calm:
                since = at + STEP
            elif at - since >= HOLDS:
                return round(since - recovery, 1)
            at += STEP
        return None


class Wave:
    def __init__(self, name, calls):
        self.name = name
        self.crowd = len(calls)
        back = [tried[1] for *_, tried in calls if len(tried) > 1]
        slots = Counter(int((at - min(back)) / SLOT) for at in back)
        self.came_back = len(back)
        self.histogram = [slots[slot] for slot in range(max(slots) + 1)]
        self.peak = max(self.histogram)
        self.mean = len(back) / len(self.histogram)


def is_good(call):
    due, done, status, _ = call
    return status == 200 and done - due <= IN_TIME


def failures(calls):
    return sum(status != 200 for _, _, status, _ in calls) / len(calls)


def write(storms, waves, file: Path) -> bool:
    """Prints the tables, keeps the numbers, and says whether every bound was kept."""
    print(report.table(STORM, storms), report.table(WAVE, waves), "", sep="\n\n")
    ours, wave = storms[1:], waves[-1]
    kept = {f"load, {one.name}, at most {MOST_LOAD}: {one.load:.3f}": one.load <= MOST_LOAD for one in ours}
    fullest = wave.peak / wave.mean
    kept[f"fullest slot of the wave at most {MOST_PEAK:.0f} times the mean: {fullest:.2f}"] = fullest <= MOST_PEAK
    report.write({"storms": list(map(shown, storms)), "waves": list(map(shown, waves)), "bounds": kept}, file)
    return report.bounds(kept)


def shown(one):
    return {name: value for name, value in vars(one).items() if not name.startswith("_")}


STORM = (
    ("while half fails, then recovered", lambda storm: storm.name),
    ("first attempts", lambda storm: f"{storm.first_attempts:,}"),
    ("at the server", lambda storm: f"{storm.attempts:,}"),
    ("load", lambda storm: f"{storm.load:.2f}"),
    ("most in a second", lambda storm: f"{storm.peak:,}"),
    ("calls failed", lambda storm: f"{storm.failed:.1%}"),
    ("answered in time", lambda storm: f"{storm.in_time:.1%}"),
    ("failed after", lambda storm: f"{storm.failed_after:.1%}"),
    ("goodput back after", lambda storm: "never" if storm.back is None else f"{storm.back:.1f} s"),
)

WAVE = (
    ("refused in one second", lambda wave: wave.name),
    ("crowd", lambda wave: f"{wave.crowd:,}"),
    ("came back", lambda wave: f"{wave.came_back:,}"),
    ("within", lambda wave: f"{SLOT * len(wave.histogram):.1f} s"),
    ("mean of 100 ms", lambda wave: f"{wave.mean:.1f}"),
    ("most in 100 ms", lambda wave: str(wave.peak)),
)
