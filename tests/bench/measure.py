"""The figures of an Envoy under load: CPU per request, requests a second at saturation, and the times of answers at
half of that.

CPU per request is Envoy's CPU clock before and after a run of h2load, by the requests answered. A run counts only if
every request was answered with the lane's class of status; anything else would measure something other than what
the row says. `probe` looks at one answer as a client sees it: the exact status, and the headers that tell that the
filter under test is the one that answered.
"""

import http.client
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.clients import Clients
from tests.bench.lanes import Lane
from tests.bench.workloads import Workload
from tests.lab import Failure
from tests.lab.envoy import Envoy
from tests.lab.process import printed
from tests.lab.report import percentile


@dataclass(frozen=True)
class Speed:
    """Requests a second at saturation; at half of it, seconds to the first and to the last byte of an answer, and
    the share of requests that the load itself sent late."""

    saturation: float
    first_p50: float
    first_p99: float
    p50: float
    p99: float
    late: float


def find_h2load() -> str:
    return printed("debian.sh", "h2load", "nghttp2-client")


class Load:
    def __init__(self, h2load: str, workload: Workload, directory: Path):
        self._workload = workload
        headers = workload.headers | {":method": workload.method}
        self._command = [h2load, "--h1", "-t1", *(f"--header={name}: {value}" for name, value in headers.items())]
        if workload.body:
            body = directory / f"{workload.title}.body"
            body.write_text(workload.body)
            self._command.append(f"--data={body}")

    def warm_up(self, envoy: Envoy, turns: int) -> None:
        self._run(envoy, self._workload.requests * turns, self._workload.clients)

    def cpu_per_request(self, lane: Lane, envoy: Envoy) -> float:
        before = envoy.cpu_seconds()
        self._answered(lane, envoy, self._workload.requests, self._workload.clients)
        return (envoy.cpu_seconds() - before) / self._workload.requests

    def speed(self, lane: Lane, envoy: Envoy) -> Speed:
        workload = self._workload
        count = 2 * max(workload.requests, workload.saturating)
        output = self._answered(lane, envoy, count, workload.saturating)
        saturation = count / seconds(output)
        with Clients(envoy.port, workload.saturating, lane.status) as clients:
            timings, late = clients.send_at(saturation / 2, workload.to_bytes(), count)
        first, last = [timing.first for timing in timings], [timing.last for timing in timings]
        times = (percentile(taken, percent) for taken in (first, last) for percent in (50, 99))
        return Speed(saturation, *times, late)

    def probe(self, lane: Lane, envoy: Envoy) -> None:
        workload = self._workload
        connection = http.client.HTTPConnection("127.0.0.1", envoy.port, timeout=10)
        connection.request(workload.method, workload.path, workload.body or None, workload.headers)
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        connection.close()
        answer = f"{response.status} {dict(response.headers)} {body}"
        if response.status != lane.status:
            raise Failure(f"lane '{lane.name}': status {lane.status} expected, answered {answer}\n{envoy.last_words()}")
        for name in lane.shows:
            if name not in response.headers:
                raise Failure(f"lane '{lane.name}': header {name} expected, answered {answer}")
        for name in lane.hides:
            if name in response.headers:
                raise Failure(f"lane '{lane.name}': no header {name} expected, answered {answer}")

    def _answered(self, lane: Lane, envoy: Envoy, requests: int, clients: int) -> str:
        output = self._run(envoy, requests, clients)
        if statuses(output) != {lane.status // 100: requests}:
            raise Failure(
                f"lane '{lane.name}': {requests} answers {lane.status // 100}xx expected, "
                f"h2load says:\n{output}\n{envoy.last_words()}"
            )
        return output

    def _run(self, envoy: Envoy, requests: int, clients: int) -> str:
        url = f"http://127.0.0.1:{envoy.port}{self._workload.path}"
        command = [*self._command, f"-c{clients}", f"-n{requests}", url]
        return subprocess.run(command, capture_output=True, text=True).stdout


def statuses(output: str) -> dict[int, int]:
    """Answers by class of status, without the classes that did not occur; empty when requests went unanswered."""
    lost = re.search(r"(\d+) errored, (\d+) timeout", output)
    if not lost or lost.groups() != ("0", "0"):
        return {}
    return {int(kind): int(count) for count, kind in re.findall(r"(\d+) (\d)xx", output) if count != "0"}


def seconds(output: str) -> float:
    """The time that h2load's run took."""
    found = re.search(r"finished in ([\d.]+)(us|ms|s)\b", output)
    if not found:
        raise Failure(f"h2load says nothing of the time it took:\n{output}")
    return float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[found[2]]
