"""One of the reference configurations in front of a real model server."""

import re
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from admin import Admin, Failure  # noqa: E402


class Gateway(Admin):
    """Envoy with the file as it is but for addresses, and `limits` beside the preset of input-limit."""

    def __init__(self, envoy: str, folder: Path, file: str, server: str, limits: str = ""):
        super().__init__(folder / f"{file}.admin")
        text = (ROOT / "envoy" / file).read_text()
        host, port = server.split(":")
        text = text.replace("/etc/envoy/", f"{ROOT}/dist/").replace("port_value: 9901", "port_value: 0")
        text = text.replace("0.0.0.0, port_value: 8080", "127.0.0.1, port_value: 0")
        text = re.sub(r"address: model-server[\w.-]*, port_value: 8000", f"address: {host}, port_value: {port}", text)
        text = text.replace('"preset": "agent",', f'"preset": "agent", {limits}')
        config = folder / file
        config.write_text(text)
        command = [envoy, "-c", config, "--concurrency", "2", "--disable-hot-restart", "--log-level", "error"]
        command += ["--admin-address-path", folder / f"{file}.admin"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self.is_live():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"Envoy did not start with {file}")
            time.sleep(0.05)
        self.port = self.listener_port()

    def counted(self, what: str) -> int:
        return self.stat(f"wasmcustom.tidegate.degradation.{what}")

    def stop(self):
        self._process.kill()
        self._process.wait()


def start_model(python: str) -> tuple[subprocess.Popen, str]:
    """The demo's server, and its host and port."""
    server = [python, "-B", str(ROOT / "demo/model_server.py")]
    model = subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    address = model.stdout.readline().strip().removeprefix("http://")
    _wait(int(address.split(":")[1]))
    return model, address


def _wait(port: int):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise Failure("the model server did not come up")
