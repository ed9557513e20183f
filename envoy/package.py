"""Packs each module in dist/ as an OCI image that Istio, Envoy Gateway and Kubernetes image volumes take; no daemon.

    envoy/package.py                                write target/oci/<module>, an OCI layout for each
    envoy/package.py registry.example.org/tidegate  also push them there, and write target/deploy/: the manifests
                                                    of envoy/ that name these images, with registry and digests

The images are of the "compat" variant of the Wasm image specification: one gzipped tar with a file plugin.wasm.
The same module always gives the same digest. They are pushed by skopeo, which uses your login (`skopeo login`), or
that of REGISTRY_USER and REGISTRY_PASSWORD.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PLACEHOLDER = "registry.example.com/tidegate"
RENDERED = ("istio", "gateway", "kubernetes")
THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")


class PushFailed(Exception):
    """What went wrong, in one sentence."""


class Image:
    """Blobs by digest, of which `manifest` names the others."""

    def __init__(self, name, wasm, version):
        self.name, self.version = name, version
        archive = tar("plugin.wasm", wasm)
        # Kubelets unpack only images of their own platform; for the proxies it does not matter.
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(archive)]},
        }
        layers = [(LAYER, compress(archive))]
        configs = [(CONFIG, encode(config))]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(*configs[0]),
            "layers": [descriptor(*layer) for layer in layers],
            "annotations": {
                "module.wasm.image/variant": "compat",
                "org.opencontainers.image.title": f"tidegate {name}",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        }
        self.manifest = encode(manifest)
        self.blobs = [content for _, content in configs + layers]

    @property
    def digest(self):
        return digest(self.manifest)

    def write(self, folder):
        """Leaves an OCI layout, as `skopeo copy oci:<folder>` and others read it."""
        shutil.rmtree(folder, ignore_errors=True)
        blobs = folder / "blobs/sha256"
        blobs.mkdir(parents=True)
        for content in (*self.blobs, self.manifest):
            (blobs / digest(content).removeprefix("sha256:")).write_bytes(content)
        tag = {"org.opencontainers.image.ref.name": self.version}
        index = {"schemaVersion": 2, "manifests": [descriptor(MANIFEST, self.manifest) | {"annotations": tag}]}
        (folder / "index.json").write_bytes(encode(index))
        (folder / "oci-layout").write_bytes(encode({"imageLayoutVersion": "1.0.0"}))


def tar(name, content):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as writer:
        writer.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def compress(content):
    compressed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=compressed, mode="wb", mtime=0) as writer:
        writer.write(content)
    return compressed.getvalue()


def encode(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def descriptor(media_type, content):
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


def pinned(text, repository, digests):
    """The manifest with `repository` in place of the example's and each image by its digest; a `url` gets the
    field `sha256` too. An image that was not built stays as it is."""

    def pin(match):
        indent, key, scheme, name = match["indent"], match["key"], match["scheme"] or "", match["name"]
        if name not in digests:
            return match[0]
        line = f"{indent}{key}: {scheme}{repository}/{name}@{digests[name]}"
        if key != "url":
            return line
        field = " " * len(indent.replace("\n", ""))
        return f"{line}\n{field}sha256: {digests[name].removeprefix('sha256:')}"

    image = rf"(?P<key>url|uri|reference): (?P<scheme>oci://)?{re.escape(PLACEHOLDER)}/(?P<name>[a-z-]+):[\w.]+"
    return re.sub(rf"(?m)^(?P<indent>[ -]*){image}", pin, text)


def render(repository, digests, target):
    shutil.rmtree(target, ignore_errors=True)
    for folder in RENDERED:
        (target / folder).mkdir(parents=True)
        for file in sorted((ROOT / "envoy" / folder).glob("*.yaml")):
            (target / folder / file.name).write_text(pinned(file.read_text(), repository, digests))


class Registry:
    """A place for images, as host[:port]/path. Plain HTTP is spoken to this machine alone."""

    def __init__(self, repository):
        self.repository = repository.removeprefix("oci://").rstrip("/")
        self.host = self.repository.partition("/")[0]

    def push(self, layout, name, version):
        with tempfile.TemporaryDirectory() as folder:
            command = self.command(layout, name, version)
            if login := self.login():
                # In a file, since a command line is seen by every user of the machine.
                file = Path(folder) / "login.json"
                file.write_text(json.dumps(login))
                command += ["--authfile", str(file)]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = re.findall(r'msg="(.*)"', done.stderr) or [done.stderr.strip()]
            raise PushFailed(f"{self.repository}/{name} was not pushed: {said[-1]}")

    def command(self, layout, name, version):
        # No policy decides whom to trust: the source is what was just built here.
        copy = [skopeo(), "--insecure-policy", "copy", "--quiet", "--preserve-digests"]
        secure = re.sub(r":\d+$", "", self.host) not in THIS_MACHINE
        copy += ["--dest-tls-verify=true" if secure else "--dest-tls-verify=false"]
        return [*copy, f"oci:{layout}:{version}", f"docker://{self.repository}/{name}:{version}"]

    def login(self):
        user, password = os.environ.get("REGISTRY_USER"), os.environ.get("REGISTRY_PASSWORD")
        if not user or not password:
            return None
        return {"auths": {self.host: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}}}


def skopeo():
    found = subprocess.run([ROOT / "envoy/debian.sh", "skopeo", "skopeo"], stdout=subprocess.PIPE, text=True)
    if found.returncode:
        raise PushFailed("skopeo is needed to push; the message above says how to get it.")
    return found.stdout.strip()


def publish(packed, repository, target):
    """Pushes the images and leaves the manifests that name them in `target`."""
    registry = Registry(repository)
    with tempfile.TemporaryDirectory() as folder:
        for image in packed:
            layout = Path(folder) / image.name
            image.write(layout)
            registry.push(layout, image.name, image.version)
    render(registry.repository, {image.name: image.digest for image in packed}, target)


def version():
    return re.search(r'(?m)^version = "([^"]+)"', (ROOT / "Cargo.toml").read_text())[1]


def images():
    modules = sorted((ROOT / "dist").glob("*.wasm"))
    if not modules:
        sys.exit("package: dist/ holds no module; run `make build` first")
    return [Image(module.stem, module.read_bytes(), version()) for module in modules]


def main():
    packed = images()
    for image in packed:
        image.write(ROOT / "target/oci" / image.name)
        print(f"{image.name}:{image.version} {image.digest}")
    if len(sys.argv) < 2 or not sys.argv[1]:
        return
    try:
        publish(packed, sys.argv[1], ROOT / "target/deploy")
    except PushFailed as error:
        sys.exit(f"package: {error}")
    print(f"pushed to {sys.argv[1]}; the manifests that name these images are in target/deploy/")


if __name__ == "__main__":
    main()
