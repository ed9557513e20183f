"""A registry of the OCI distribution API, in memory: as strict as the specification about digests and the order of
uploads, and with a login if asked. Pushes are `envoy/registry.py`'s; `pull` reads an image as Istio's fetcher does.
"""

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-for-a-push"


class Registry:
    def __init__(self, user=None, password=None):
        self.blobs, self.manifests, self.uploads = {}, {}, set()
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.login = f"Basic {basic}" if user else None

    def __enter__(self):
        registry = self

        class Handler(Requests):
            state = registry

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urlsplit(self.path)
        if url.path == "/token":
            granted = self.headers.get("authorization") == self.state.login
            return self.answer(200 if granted else 401, json.dumps({"token": TOKEN}).encode() if granted else b"")
        if self.state.login and self.headers.get("authorization") != f"Bearer {TOKEN}":
            challenge = f'Bearer realm="http://{self.state.address}/token",service="test",scope="push"'
            return self.answer(401, www_authenticate=challenge)
        place = re.fullmatch(r"/v2/(.+)/(blobs|manifests)/(.+)", url.path)
        if not place:
            return self.answer(404)
        name, kind, reference = place.groups()
        if kind == "manifests":
            return self.manifest(name, reference)
        return self.blob(name, reference, parse_qs(url.query))

    def blob(self, name, reference, query):
        state = self.state
        if self.command == "POST" and reference == "uploads/":
            upload = f"{len(state.uploads)}"
            state.uploads.add(upload)
            return self.answer(202, location=f"/v2/{name}/blobs/uploads/{upload}?state=1")
        if self.command == "PUT" and reference.removeprefix("uploads/") in state.uploads:
            digest = f"sha256:{hashlib.sha256(self.body).hexdigest()}"
            if query.get("digest") != [digest] or query.get("state") != ["1"]:
                return self.answer(400)
            state.blobs[name, digest] = self.body
            return self.answer(201)
        if self.command in ("HEAD", "GET") and (name, reference) in state.blobs:
            return self.answer(200, state.blobs[name, reference])
        return self.answer(404)

    def manifest(self, name, reference):
        state = self.state
        if self.command == "PUT":
            manifest = json.loads(self.body)
            parts = [manifest["config"], *manifest["layers"]]
            held = all(len(state.blobs.get((name, part["digest"]), b"")) == part["size"] for part in parts)
            if not held or self.headers["content-type"] != manifest["mediaType"]:
                return self.answer(400)
            digest = f"sha256:{hashlib.sha256(self.body).hexdigest()}"
            state.manifests[name, reference] = state.manifests[name, digest] = self.body
            return self.answer(201)
        if (name, reference) in state.manifests:
            body = state.manifests[name, reference]
            return self.answer(200, body, content_type=json.loads(body)["mediaType"])
        return self.answer(404)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any


def pull(address, name, reference, sha256):
    """The module in an image, read as Istio reads it: the digest of the manifest is `sha256`; the media type is not
    Docker's; the last layer is a gzipped OCI tar; in it the first file whose base name is plugin.wasm."""

    def get(path):
        with urllib.request.urlopen(f"http://{address}/v2/{name}/{path}", timeout=10) as answer:
            return answer.read()

    raw = get(f"manifests/{reference}")
    assert hashlib.sha256(raw).hexdigest() == sha256, "the checksum of the manifest"
    manifest = json.loads(raw)
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    layer = manifest["layers"][-1]
    assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    blob = get(f"blobs/{layer['digest']}")
    assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == layer["digest"] and len(blob) == layer["size"]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as archive:
        for member in archive:
            if member.name.rpartition("/")[2] == "plugin.wasm":
                return archive.extractfile(member).read()
    raise AssertionError("plugin.wasm not found in the archive")
