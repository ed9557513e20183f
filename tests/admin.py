"""Envoy's administration, by the file to which it writes the address."""

import http.client
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Failure(Exception):
    """What went wrong, in one sentence for the user."""


def find_envoy() -> Path:
    found = subprocess.run([ROOT / "envoy" / "find-envoy.sh"], capture_output=True, text=True)
    if found.returncode:
        raise Failure(f"no Envoy: {found.stderr.strip()}")
    return Path(found.stdout.strip())


class Admin:
    def __init__(self, file: Path):
        self._file = file

    def stat(self, name: str) -> int:
        return int(self._ask(f"/stats?filter=^{name}$")[1].rpartition(b" ")[2] or 0)

    def is_live(self) -> bool:
        try:
            return self._ask("/ready")[0] == 200
        except OSError:
            return False

    def listener_port(self) -> int:
        listener = json.loads(self._ask("/listeners?format=json")[1])["listener_statuses"][0]
        return listener["local_address"]["socket_address"]["port_value"]

    def _ask(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._file.read_text().strip(), timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().strip()
        finally:
            connection.close()
