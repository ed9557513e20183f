"""The CRDs of Istio and Envoy Gateway, and Kubernetes, accept the resources, and each module accepts the document that
a resource hands to it."""

import copy
import json
import re
import unittest
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

from tests.deploy.shipped import CHAIN, FILTERS, MODULES, SHIPPED, documents, manifests, plugins
from tests.lab import ROOT
from tests.lab.bootstrap import bootstrap
from tests.lab.envoy import complaint
from tests.lab.wasm import built, wasm

KUBERNETES = "1.37"
SCHEMAS = yaml.safe_load((Path(__file__).parent / "schemas.yaml").read_text())["kinds"]


def strict(schema):
    """With unknown fields refused."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(value) for key, value in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


def refusal(document):
    """Why a cluster would not take the resource; None if it would."""
    known = SCHEMAS.get(document["kind"])
    try:
        if known is None:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
            return None
        metadata = {"type": "object", "required": ["name"], "properties": {"name": {}, "namespace": {}}}
        resource = {
            "type": "object",
            "required": ["apiVersion", "kind", "metadata", "spec"],
            "properties": {
                "apiVersion": {"const": known["apiVersion"]},
                "kind": {},
                "metadata": metadata,
                "spec": known["spec"],
            },
        }
        jsonschema.validate(document, strict(resource), cls=jsonschema.Draft202012Validator)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        return error.message
    return None


def changed(document, path, value=None):
    """The document with the field at `path` set to a value, or taken out."""
    document = copy.deepcopy(document)
    *parents, last = path
    holder = document
    for step in parents:
        holder = holder[step]
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return document


class Resources(unittest.TestCase):
    def test_every_resource_is_one_that_its_cluster_takes(self):
        kinds = set()
        for file, document in manifests():
            kinds.add(document["kind"])
            with self.subTest(file=file, kind=document["kind"]):
                self.assertIsNone(refusal(document))
        self.assertGreaterEqual(kinds, {*SCHEMAS, "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"})

    def test_what_a_cluster_would_refuse_or_drop_is_refused_here(self):
        plugin, *_ = documents(SHIPPED / "istio/chain.yaml")
        extension, *_ = documents(SHIPPED / "gateway/chain.yaml")
        deployment, *_ = documents(SHIPPED / "kubernetes/gateway.yaml")
        patch, *_ = documents(SHIPPED / "istio/hold-headers.yaml")
        rule, route = documents(SHIPPED / "istio/traffic.yaml")
        container = ["spec", "template", "spec", "containers", 0]
        wrong = [
            changed(plugin, ["spec", "url"]),
            changed(plugin, ["spec", "phase"], "AUTHX"),
            changed(plugin, ["spec", "failStrategy"], "FAIL_CLOSED"),
            changed(plugin, ["spec", "sha256"], "sha256:" + 64 * "0"),
            changed(plugin, ["spec", "type"], "TCP"),
            changed(plugin, ["spec", "vm_id"], "tidegate"),
            changed(plugin, ["spec", "priority"], "10"),
            changed(plugin, ["spec", "pluginConfig"], {}),
            changed(plugin, ["apiVersion"], "extensions.istio.io/v1"),
            changed(extension, ["spec", "wasm", 0, "code", "image", "url"]),
            changed(extension, ["spec", "wasm", 0, "code", "type"], "ConfigMap"),
            changed(extension, ["spec", "wasm", 0, "rootId"], "header-limit"),
            changed(extension, ["spec", "targetRefs", 0, "kind"], "Service"),
            changed(patch, ["spec", "configPatches", 0, "applyTo"], "HTTP_FILTERS"),
            changed(patch, ["spec", "configPatches", 1, "patch", "operation"], "PREPEND"),
            changed(rule, ["spec", "trafficPolicy", "loadBalancer", "simple"], "LEAST_CONNECTIONS"),
            changed(rule, ["spec", "trafficPolicy", "outlierDetection", "interval"], "5"),
            changed(rule, ["spec", "trafficPolicy", "outlierDetections"], {}),
            changed(route, ["spec", "http", 0, "timeout"], "0s"),
            changed(deployment, [*container, "imagePullPolice"], "Always"),
            changed(deployment, [*container, "resources", "limits"], "2Gi"),
            changed(deployment, ["spec", "selector"]),
        ]
        for number, document in enumerate(wrong):
            with self.subTest(number=number, kind=document["kind"]):
                self.assertIsNotNone(refusal(document))

    def test_the_modules_run_in_their_order(self):
        network, *http = plugins("chain.yaml")
        self.assertEqual((network["pluginName"], network["type"]), ("connection-guard", "NETWORK"))
        self.assertEqual([plugin["pluginName"] for plugin in http], CHAIN)
        self.assertEqual({plugin["phase"] for plugin in http}, {"AUTHN"})
        self.assertEqual({plugin["failStrategy"] for plugin in [network, *http]}, {"FAIL_RELOAD"})
        extension, *_ = documents(SHIPPED / "gateway/chain.yaml")
        self.assertEqual([one["rootID"] for one in extension["spec"]["wasm"]], CHAIN)

    def test_the_composite_has_all_of_the_chain_and_runs_behind_the_guard(self):
        members = [name.replace("-", "_") for name in CHAIN]
        guard, *chain = plugins("chain.yaml")
        (composite,) = plugins("composite.yaml")
        self.assertEqual(composite["pluginConfig"], {m: p["pluginConfig"] for m, p in zip(members, chain, strict=True)})
        self.assertEqual((composite["phase"], composite["failStrategy"]), ("AUTHN", "FAIL_RELOAD"))
        self.assertLess(composite["priority"], guard["priority"])
        single, whole = (documents(SHIPPED / "gateway" / file)[0] for file in ("chain.yaml", "composite.yaml"))
        (one,) = whole["spec"]["wasm"]
        self.assertEqual(one["config"], {m: w["config"] for m, w in zip(members, single["spec"]["wasm"], strict=True)})

    def test_an_image_is_that_of_its_module_and_of_this_version(self):
        version = re.search(r'(?m)^version = "(.+)"', (ROOT / "Cargo.toml").read_text())[1]
        for file in sorted(SHIPPED.glob("*/*.yaml")):
            for name, tag in re.findall(r"registry\.example\.com/tidegate/([a-z-]+):(\S+)", file.read_text()):
                with self.subTest(file=file.name, name=name):
                    self.assertEqual(tag, version)
                    self.assertIn(name, MODULES)

    def test_the_deployment_mounts_the_modules_that_the_configuration_loads(self):
        loaded = set(re.findall(r"/etc/envoy/([a-z-]+)\.wasm", (SHIPPED / "envoy.yaml").read_text()))
        deployment, *_ = documents(SHIPPED / "kubernetes/gateway.yaml")
        mounts = deployment["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
        mounted = {mount["name"] for mount in mounts if mount["mountPath"] == f"/etc/envoy/{mount['name']}.wasm"}
        self.assertEqual(loaded, mounted)

    def test_the_deployment_has_more_memory_than_envoy_takes(self):
        heap = re.search(r"max_heap_size_bytes: (\d+)", (SHIPPED / "envoy.yaml").read_text())[1]
        deployment, *_ = documents(SHIPPED / "kubernetes/gateway.yaml")
        limit = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        self.assertGreaterEqual(int(limit.removesuffix("Mi")), int(heap) / 2**20 + 256)

    def test_the_same_is_open_to_clients_wherever_it_is_run(self):
        (reference,) = documents(SHIPPED / "envoy.yaml")
        (chain,) = reference["static_resources"]["listeners"][0]["filter_chains"]
        (host,) = chain["filters"][-1]["typed_config"]["route_config"]["virtual_hosts"]
        *routes, _ = (route["match"] for route in host["routes"])
        methods = [match.get("headers", [{"string_match": {}}])[0]["string_match"] for match in routes]
        methods = [method.get("exact") or method.get("safe_regex", {}).get("regex") for method in methods]
        paths = [match.get("path") or match["safe_regex"]["regex"] for match in routes]
        opened = [(p, m) for p, methods in zip(paths, methods, strict=True) for m in (methods or "any").split("|")]
        _, virtual_service = documents(SHIPPED / "istio/traffic.yaml")
        istio = []
        for match in virtual_service["spec"]["http"][0]["match"]:
            (path,), (method,) = match["uri"].values(), match.get("method", {"": "any"}).values()
            istio += [(path, one) for one in method.split("|")]
        self.assertEqual(istio, opened)
        *_, route = documents(SHIPPED / "gateway/traffic.yaml")
        matches = route["spec"]["rules"][0]["matches"]
        self.assertEqual([(match["path"]["value"], match.get("method", "any")) for match in matches], opened)

    def test_weights_of_a_blue_green_change_are_a_whole(self):
        _, virtual_service = documents(SHIPPED / "istio/traffic.yaml")
        *_, route = documents(SHIPPED / "gateway/traffic.yaml")
        for backends in (virtual_service["spec"]["http"][0]["route"], route["spec"]["rules"][0]["backendRefs"]):
            self.assertEqual(sum(backend["weight"] for backend in backends), 100)


class Configurations(unittest.TestCase):
    """Each document is given to its module by a real Envoy."""

    def loads(self, name, configuration, kind="http"):
        built(name)
        added = wasm(name, configuration, kind=kind)
        made = bootstrap(added) if kind == "http" else bootstrap(guards=[added])
        self.assertEqual(complaint(made), "")

    def test_istio_hands_each_module_a_document_that_it_takes(self):
        for plugin in plugins("chain.yaml") + plugins("composite.yaml"):
            with self.subTest(module=plugin["pluginName"]):
                self.loads(plugin["pluginName"], plugin["pluginConfig"], plugin["type"].lower())

    def test_envoy_gateway_hands_each_module_a_document_that_it_takes(self):
        for file in ("chain.yaml", "composite.yaml"):
            extension, *_ = documents(SHIPPED / "gateway" / file)
            for one in extension["spec"]["wasm"]:
                with self.subTest(file=file, module=one["rootID"]):
                    self.loads(one["rootID"], one["config"])

    def test_a_document_that_a_module_refuses_does_not_pass(self):
        self.assertIn("refused", complaint(bootstrap(wasm("rate-limit", {"limit": []}))))

    def test_the_envoy_filter_is_what_envoy_takes(self):
        (resource,) = documents(SHIPPED / "istio/hold-headers.yaml")
        *_, extension = resource["spec"]["configPatches"]
        added = copy.deepcopy(extension["patch"]["value"])
        config = added["typed_config"]["config"]
        self.assertTrue(config["allow_on_headers_stop_iteration"])
        self.assertEqual(config["vm_config"]["vm_id"], "tidegate")
        document = json.loads(config["configuration"]["value"])
        (composite,) = plugins("composite.yaml")
        for holding in (one["key"] for one in FILTERS if one["holds_headers"]):
            self.assertTrue(document[holding].pop("hold_headers"))
        self.assertEqual(document, composite["pluginConfig"])
        # As Istio's agent rewrites it.
        config["vm_config"]["code"] = {"local": {"filename": str(built(config["root_id"]))}}
        self.assertEqual(complaint(bootstrap(added)), "")

    def test_envoy_takes_the_reference_configuration_with_what_the_deployment_adds(self):
        deployment, *_ = documents(SHIPPED / "kubernetes/gateway.yaml")
        arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        added = arguments[arguments.index("--config-yaml") + 1]
        reference = (SHIPPED / "envoy.yaml").read_text().replace("/etc/envoy/", f"{ROOT}/dist/")
        self.assertEqual(complaint(yaml.safe_load(reference), "--config-yaml", added), "")
        wrong = added.replace("stat_prefix", "stat_prefixx")
        self.assertIn("stat_prefixx", complaint(yaml.safe_load(reference), "--config-yaml", wrong))
