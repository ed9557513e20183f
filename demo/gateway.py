"""The demo's Envoy: two lanes to the model server, `without` and `with` Tidegate, from `envoy.yaml`."""

import json
import ssl
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from upstream import Failure

TYPE = "type.googleapis.com/envoy.extensions.transport_sockets"


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
