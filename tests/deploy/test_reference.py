"""The two reference configurations are one but for their HTTP filters, Envoy takes them with and without what is
commented out, and their sizes and times fit each other."""

import json
import re
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from tests.deploy.running import gateway
from tests.deploy.shipped import CHAIN, SHIPPED
from tests.lab import ROOT
from tests.lab.envoy import complaint
from tests.lab.process import Children
from tests.lab.wasm import wasm

FILES = ("envoy.yaml", "envoy-composite.yaml")
BLOCKS = (
    "- transport_socket_connect_timeout: 10s",
    "tracing:",
    "upgrade_configs:",
    "- match: { path: /v1/realtime }",
    "local_reply_config:",
    "typed_per_filter_config:",
    "- name: envoy.filters.http.cors",
)
FILTERS = "          http_filters:\n"
ROUTER = "          - name: envoy.filters.http.router\n"
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def text(file):
    """The file, without the marks around what is generated in it."""
    return re.sub(r"(?m)^ *# (?:begin|end): .*\n", "", (SHIPPED / file).read_text())


def without_filters(file):
    """All of the file but its first comment and the modules in its list of HTTP filters."""
    _, _, rest = text(file).partition("\n\n")
    before, _, filters = rest.partition(FILTERS)
    return before, filters.partition(ROUTER)[2]


def manager(file):
    *_, last = yaml.safe_load(text(file))["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
    return last["typed_config"]


def modules(file):
    """The configuration of each module in it."""
    (chain,) = yaml.safe_load(text(file))["static_resources"]["listeners"][0]["filter_chains"]
    filters = [*chain["filters"][:-1], *manager(file)["http_filters"]]
    return {one["name"]: one["typed_config"]["config"] for one in filters if "config" in one["typed_config"]}


def native(written):
    """The HTTP filters that are Envoy's own, which stand in front of the modules, but for the router."""
    return re.split(r" *- name: (?:header-limit|tidegate)\n", written.partition(FILTERS)[2])[0]


def document(config):
    return json.loads(config["configuration"]["value"])


def documents_of_chain():
    return {name: document(config) for name, config in modules("envoy.yaml").items() if name in CHAIN}


def switched_on(written, first):
    """With the block of commented lines that begins with `first`; that for TLS stands in the place of `- filters:`."""
    start = re.search(rf"(?m)^ *# {re.escape(first)}\n", written).start()
    block = re.match(r"(?: *#.*\n)+", written[start:])[0]
    meant = re.sub(r"(?m)^( *)# ", r"\1", block)
    rest = written[start + len(block) :]
    return written[:start] + meant + (rest if "filters:" not in meant else rest.replace("    - filters:\n", "", 1))


def size(written):
    number, unit = re.fullmatch(r"(\d+)(\w+)", written).groups()
    return int(number) * UNITS[unit]


def status(url, key):
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def seconds(written):
    return float(written.removesuffix("s"))


class Reference(unittest.TestCase):
    def test_chain_and_composite_differ_in_their_http_filters_alone(self):
        self.assertEqual(without_filters("envoy.yaml"), without_filters("envoy-composite.yaml"))
        self.assertEqual(native(text("envoy.yaml")), native(text("envoy-composite.yaml")))
        chain = documents_of_chain()
        self.assertEqual(list(chain), CHAIN)
        composite = modules("envoy-composite.yaml")
        self.assertEqual(list(composite), ["connection-guard", "tidegate"])
        members = {name.replace("-", "_"): written for name, written in chain.items()}
        self.assertEqual(list(document(composite["tidegate"]).items()), list(members.items()))

    def test_envoy_takes_both_with_and_without_what_is_commented_out(self):
        with tempfile.TemporaryDirectory() as folder:
            self.make_certificate(Path(folder))
            for file in FILES:
                for blocks in ((), BLOCKS):
                    with self.subTest(file=file, blocks=blocks):
                        written = text(file)
                        for block in blocks:
                            written = switched_on(written, block)
                        written = written.replace("/etc/envoy/tls.", f"{folder}/tls.")
                        configuration = yaml.safe_load(written.replace("/etc/envoy/", f"{ROOT}/dist/"))
                        self.assertEqual(complaint(configuration), "")
                        (chain,) = configuration["static_resources"]["listeners"][0]["filter_chains"]
                        self.assertEqual("transport_socket" in chain, bool(blocks))
                        traced = chain["filters"][-1]["typed_config"]
                        self.assertEqual("tracing" in traced, bool(blocks))

    def test_envoy_takes_what_the_first_steps_make_of_it(self):
        steps = (ROOT / "docs/quickstart.md").read_text()
        (command,) = re.findall(r"(?m)^sed (?:.*\\\n)+ *envoy/envoy\.yaml", steps)
        made = subprocess.run(["bash", "-c", command], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        self.assertEqual(made.count("address: 127.0.0.1, port_value: 8000"), 1)
        self.assertEqual(complaint(yaml.safe_load(made)), "")

    def test_a_limit_on_trial_is_met_by_the_part_of_the_requests_that_the_rollout_page_says(self):
        (block,) = re.findall(r"(?s)```yaml\n(.+?)```", (ROOT / "docs/operate/rollout.md").read_text())
        limit = {"name": "trial", "per": [], "requests": {"rate": "1/h", "burst": 1}}
        trial = wasm("rate-limit", {"limits": [limit]}, name="rate-limit-trial")

        def changed(configuration):
            (chain,) = configuration["static_resources"]["listeners"][0]["filter_chains"]
            manager = chain["filters"][-1]["typed_config"]
            manager["http_filters"].insert(0, trial)
            (host,) = manager["route_config"]["virtual_hosts"]
            added = yaml.safe_load(block)
            host["routes"][:0] = added.pop("routes")
            host |= added

        with Children() as children:
            envoy, _ = gateway(children, "envoy-composite.yaml", changed)
            front = f"http://127.0.0.1:{envoy.port}"
            statuses = [status(f"{front}/v1/models", f"sk-{number}") for number in range(90)]
            elsewhere = status(f"{front}/metrics", "sk-scanner")
        refused = statuses.count(429)
        self.assertTrue(1 <= refused <= 30, refused)
        self.assertEqual(statuses.count(200), 90 - refused)
        self.assertEqual(elsewhere, 404)

    def make_certificate(self, folder):
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test -days 1"
        files = ["-out", str(folder / "tls.crt"), "-keyout", str(folder / "tls.key")]
        subprocess.run([*command.split(), *files], check=True, capture_output=True)

    def test_no_other_line_of_configuration_is_commented_out(self):
        for file in FILES:
            written = text(file)
            for block in BLOCKS:
                written = switched_on(written, block)
            for comment in re.findall(r"(?m)^ *# (.*)$", written):
                self.assertNotRegex(comment, r"^(- )?[a-z_]+:( |$)", "a block that no test switches on")

    def test_what_is_held_fits_into_the_buffers_and_the_buffers_into_memory(self):
        bootstrap, http = yaml.safe_load(text("envoy.yaml")), manager("envoy.yaml")
        documents = documents_of_chain()
        (host,) = http["route_config"]["virtual_hosts"]
        self.assertGreater(host["request_body_buffer_limit"], size(documents["input-limit"]["max_body"]))
        buffer = bootstrap["static_resources"]["listeners"][0]["per_connection_buffer_limit_bytes"]
        self.assertLessEqual(buffer, size("2MiB"))
        cached = documents["degradation"]["tiers"]["cached"]
        kept = cached.get("max_entries", 512) * size(cached.get("max_entry", "64KiB"))
        (heap,) = (
            monitor["typed_config"]["max_heap_size_bytes"]
            for monitor in bootstrap["overload_manager"]["resource_monitors"]
            if "max_heap_size_bytes" in monitor["typed_config"]
        )
        self.assertLess(kept, heap / 10)
        window = http["http2_protocol_options"]["initial_connection_window_size"]
        self.assertGreaterEqual(buffer, window)

    def test_each_time_ends_before_the_one_that_stands_behind_it(self):
        http, documents = manager("envoy.yaml"), documents_of_chain()
        body = seconds(documents["slow-client"]["body"]["timeout"])
        self.assertLess(body, seconds(http["request_timeout"]))
        self.assertLess(seconds(documents["degradation"]["timeout"]), seconds(http["stream_idle_timeout"]))
        guard = document(modules("envoy.yaml")["connection-guard"])
        self.assertLessEqual(seconds(guard["headers"]["timeout"]), seconds(http["request_headers_timeout"]))
        self.assertGreaterEqual(http["max_request_headers_kb"], 2 * 16)

    def test_a_filter_that_holds_headers_may(self):
        for file in FILES:
            for name, config in modules(file).items():
                with self.subTest(file=file, module=name):
                    holds = "hold_headers" in config["configuration"]["value"]
                    self.assertEqual(config.get("allow_on_headers_stop_iteration", False), holds)
                    self.assertEqual(config["failure_policy"], "FAIL_RELOAD")
                    self.assertEqual(config["vm_config"]["vm_id"], "tidegate")

    def test_a_dead_server_is_out_within_five_seconds(self):
        (cluster,) = yaml.safe_load(text("envoy.yaml"))["static_resources"]["clusters"]
        (check,) = cluster["health_checks"]
        asked, late = seconds(check["interval"]), seconds(check["timeout"])
        edge = seconds(check["unhealthy_edge_interval"]) + late
        self.assertLessEqual(asked + late + (check["unhealthy_threshold"] - 1) * edge, 5)
        self.assertEqual(check["no_traffic_interval"], check["interval"])
        self.assertEqual([group["priority"] for group in cluster["load_assignment"]["endpoints"]], [0, 1])
