#!/usr/bin/env python3
"""How many tests each stage of `make test` has, ran, failed and left out, from what the test runners reported.

Fails if a stage left no report or ran nothing, if a test failed, if one that should have run did not, or if one is
ignored that is not among IGNORED. In Python's stage a skip that is not allowed is a failure by itself (SKIP, in
tests/deploy/run.sh).
"""

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

RESULTS = Path(__file__).resolve().parents[1] / "target" / "test-results"

IGNORED = {
    "degradation::kept::memory::a_million_answers_take_no_more_memory_than_is_configured",
    "denied_text::tests::cost::slowest",
    "denied_text::tests::cost::speed",
    "inference::tests::cost::the_cost_of_a_byte_is_flat_from_a_kilobyte_to_ten_megabytes",
    "inference::tests::the_facts_of_millions_of_requests_are_those_of_a_full_parse",
    "json::tests::millions_of_bodies_are_read_as_serde_json_reads_them",
    "prompt::tests::cost::speed",
}
"""The tests that take minutes or measure, and so are run by hand."""

MOST = 20
"""So many problems of a stage are told."""

EXAMPLES = re.compile(r"^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)


@dataclass
class Stage:
    """A stage's tests: how many ran and failed, how many did not run on purpose, and what is wrong."""

    name: str
    ran: int = 0
    failed: int = 0
    left_out: int = 0
    wrong: list[str] = field(default_factory=list)

    def text(self) -> str:
        passed = f"{self.ran - self.failed} passed, {self.failed} failed, {self.left_out} left out"
        lines = [f"    {problem}" for problem in self.wrong[:MOST]]
        if len(self.wrong) > MOST:
            lines.append(f"    and {len(self.wrong) - MOST} more")
        return "\n".join([f"{self.name + ':':11} {passed}", *lines])


def main() -> int:
    """Takes how `make` ended: what failed otherwise than by a test fails here too."""
    made = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    stages = [counted(name, how) for name, how in STAGES.items()]
    for stage in stages:
        print(stage.text())
    ran, failed = sum(stage.ran for stage in stages), sum(stage.failed for stage in stages)
    if made or any(stage.wrong for stage in stages):
        print("a stage failed: see above")
        print(f"{ran - failed} passed, {max(failed, 1)} failed")
        return 1
    print(f"{ran} passed, 0 failed")
    return 0


def counted(name: str, how) -> Stage:
    stage = Stage(name)
    try:
        how(stage)
    except (OSError, ValueError, ElementTree.ParseError) as error:
        stage.wrong.append(f"left no report that can be read: {error}")
        return stage
    if stage.ran == 0:
        stage.wrong.append("ran no test")
    return stage


def rust(stage: Stage) -> None:
    """Reads what nextest listed before it ran, and what it reported then."""
    suites = json.loads((RESULTS / f"{stage.name}.json").read_text())["rust-suites"]
    wanted, ignored = set(), set()
    for suite, found in suites.items():
        for name, test in found["testcases"].items():
            if test["filter-match"]["status"] == "matches":
                wanted.add((suite, name))
            else:
                stage.left_out += 1
                ignored |= {name} if test["ignored"] else set()
    ran = junit(stage)
    stage.wrong += [f"is ignored, and nobody runs it: {name}" for name in sorted(ignored - IGNORED)]
    stage.wrong += [f"did not run: {suite} {name}" for suite, name in sorted(wanted - ran)]


def python(stage: Stage) -> None:
    junit(stage)


def junit(stage: Stage) -> set[tuple[str, str]]:
    ran = set()
    for case in ElementTree.parse(RESULTS / f"{stage.name}.xml").iter("testcase"):
        test = (case.get("classname"), case.get("name"))
        if case.find("skipped") is not None:
            stage.left_out += 1
            continue
        ran.add(test)
        stage.ran += 1
        if case.find("failure") is not None or case.find("error") is not None:
            stage.failed += 1
            stage.wrong.append(f"failed: {' '.join(test)}")
    return ran


def examples(stage: Stage) -> None:
    """Reads what libtest says of the examples in the documentation, which nextest does not run."""
    for passed, failed, ignored in EXAMPLES.findall((RESULTS / "examples.txt").read_text()):
        stage.ran += int(passed) + int(failed)
        stage.failed += int(failed)
        stage.left_out += int(ignored)
    if stage.failed:
        stage.wrong.append("failed: see above")


STAGES = {"unit": rust, "examples": examples, "e2e": rust, "composite": rust, "deploy": python}


if __name__ == "__main__":
    sys.exit(main())
