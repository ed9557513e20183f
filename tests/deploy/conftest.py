"""In CI (`CI=true`) a test that is skipped is one that failed: what it needs is missing, and nobody would see it.

`SKIP=docker` names, with commas between them, what a CI's machine is known not to have.
"""

import os

import pytest

ALLOWED = set(filter(None, os.environ.get("SKIP", "").split(",")))


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(what): skipped where the machine has not got it")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    allowed = {what for mark in item.iter_markers("needs") for what in mark.args} & ALLOWED
    if report.skipped and os.environ.get("CI") == "true" and not allowed:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr[2]}"
