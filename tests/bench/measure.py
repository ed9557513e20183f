"""CPU per request of one Envoy: its CPU clock before and after a run of h2load, by the requests answered.

A run counts only if every request was answered with the lane's class of status; anything else would
measure something other than what the row says. `probe` looks at one answer as a client sees it: the exact
status, and the headers that tell that the filter under test is the one that answered.
"""

import http.client
import os
import re
import shutil
import subprocess
from pathlib import Path

from envoy import Envoy
from lanes import Lane, Workload


class Misbehaved(Exception):
    pass


def find_h2load() -> str:
    if not shutil.which("h2load") and shutil.which("apt-get"):
        as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        if not as_root or shutil.which("sudo"):
            subprocess.run([*as_root, "apt-get", "install", "-y", "-q", "nghttp2-client"], stdout=subprocess.DEVNULL)
    found = shutil.which("h2load")
    if not found:
        raise Misbehaved("h2load is missing and could not be installed: it is in Debian's package nghttp2-client.")
    return found


class Load:
    def __init__(self, h2load: str, workload: Workload, clients: int, directory: Path):
        self._workload = workload
        headers = workload.headers | {":method": workload.method}
        self._command = [
            h2load,
            "--h1",
            "-t1",
            f"-c{clients}",
            *(f"--header={name}: {value}" for name, value in headers.items()),
        ]
        if workload.body:
            body = directory / "body"
            body.write_text(workload.body)
            self._command.append(f"--data={body}")

    def warm_up(self, envoy: Envoy, requests: int) -> None:
        self._run(envoy, requests)

    def cpu_per_request(self, lane: Lane, envoy: Envoy, requests: int) -> float:
        before = envoy.cpu_seconds()
        output = self._run(envoy, requests)
        spent = envoy.cpu_seconds() - before
        answered = statuses(output)
        if answered != {lane.status // 100: requests}:
            raise Misbehaved(
                f"lane '{lane.name}': {requests} answers {lane.status // 100}xx expected, "
                f"h2load says:\n{output}\n{envoy.last_words()}"
            )
        return spent / requests

    def probe(self, lane: Lane, envoy: Envoy) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", envoy.port, timeout=10)
        connection.request(
            self._workload.method, self._workload.path, self._workload.body or None, self._workload.headers
        )
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        connection.close()
        answer = f"{response.status} {dict(response.headers)} {body}"
        if response.status != lane.status:
            raise Misbehaved(
                f"lane '{lane.name}': status {lane.status} expected, answered {answer}\n{envoy.last_words()}"
            )
        for name in lane.shows:
            if name not in response.headers:
                raise Misbehaved(f"lane '{lane.name}': header {name} expected, answered {answer}")
        for name in lane.hides:
            if name in response.headers:
                raise Misbehaved(f"lane '{lane.name}': no header {name} expected, answered {answer}")

    def _run(self, envoy: Envoy, requests: int) -> str:
        url = f"http://127.0.0.1:{envoy.port}{self._workload.path}"
        return subprocess.run([*self._command, f"-n{requests}", url], capture_output=True, text=True).stdout


def statuses(output: str) -> dict[int, int]:
    """Answers by class of status, without the classes that did not occur; empty when requests went unanswered."""
    lost = re.search(r"(\d+) errored, (\d+) timeout", output)
    if not lost or lost.groups() != ("0", "0"):
        return {}
    return {int(kind): int(count) for count, kind in re.findall(r"(\d+) (\d)xx", output) if count != "0"}
