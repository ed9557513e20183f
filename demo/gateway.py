"""Envoy with two lanes to the model server, `without` and `with` Tidegate, from `envoy.yaml`.

Envoy picks the ports itself and tells them through its admin address, so nothing can take a port in between.
"""

import json
import ssl
import time
import urllib.request
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from failure import Failure

STARTUP = 60
TYPE = "type.googleapis.com/envoy.extensions.transport_sockets"


def start(children, envoy, wasm, model, limits):
    """Answers with the address of each lane."""
    config = children.directory / "envoy.yaml"
    admin = children.directory / "admin"
    config.write_text(bootstrap(wasm, model, limits))
    envoy = children.start(
        "envoy",
        [envoy, "--config-path", str(config), "--admin-address-path", str(admin), "--concurrency", "2"]
        + ["--disable-hot-restart", "--log-level", "warn"],
    )

    deadline = time.monotonic() + STARTUP
    while not ready(admin):
        if envoy.process.poll() is not None:
            raise Failure(f"Envoy refused its configuration: {envoy.complaint()}")
        if time.monotonic() > deadline:
            raise Failure(f"Envoy was not ready after {STARTUP} s: {envoy.complaint()}")
        time.sleep(0.1)
    return lanes(admin)


def bootstrap(wasm, model, limits):
    upstream = urlsplit(model.address)
    secure = upstream.scheme == "https"
    values = {
        "wasm": str(wasm),
        "limits": json.dumps(limits),
        "credentials": credentials(model.key),
        "path": f"{upstream.path}/v1/",
        "authority": upstream.netloc.rpartition("@")[2],
        "host": upstream.hostname,
        "port": upstream.port or (443 if secure else 80),
        "transport": tls(upstream.hostname) if secure else plain(),
    }
    template = Template(Path(__file__).with_name("envoy.yaml").read_text())
    return template.substitute({name: json.dumps(value) for name, value in values.items()})


def credentials(key):
    return [{"header": {"key": "authorization", "value": f"Bearer {key}"}}] if key else []


def plain():
    return {
        "name": "envoy.transport_sockets.raw_buffer",
        "typed_config": {"@type": f"{TYPE}.raw_buffer.v3.RawBuffer"},
    }


def tls(host):
    authorities = ssl.get_default_verify_paths().cafile
    if authorities is None:
        raise Failure("No certificate authorities were found for https; set SSL_CERT_FILE to a file of them.")
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{TYPE}.tls.v3.UpstreamTlsContext",
            "sni": host,
            "common_tls_context": {
                "validation_context": {
                    "trusted_ca": {"filename": authorities},
                    "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": host}}],
                }
            },
        },
    }


def ready(admin):
    try:
        return ask(admin, "/ready").strip() == "LIVE"
    except OSError:
        return False


def lanes(admin):
    found = {}
    for listener in json.loads(ask(admin, "/listeners?format=json"))["listener_statuses"]:
        at = listener["local_address"]["socket_address"]
        found[listener["name"]] = f"http://{at['address']}:{at['port_value']}"
    return found


def ask(admin, path):
    with urllib.request.urlopen(f"http://{admin.read_text().strip()}{path}", timeout=5) as answer:
        return answer.read().decode()
