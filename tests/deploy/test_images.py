"""Each module has an OCI image: its bytes are the same every time, Istio's way of fetching it from a registry works, and
the manifests name it."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
import unittest
import urllib.request
from pathlib import Path
from unittest import mock

from envoy import package
from tests.deploy import registry
from tests.deploy.shipped import MODULES, manifests
from tests.deploy.test_manifests import refusal
from tests.lab.process import Children
from tests.lab.wasm import built

OCI = "application/vnd.oci.image"


def digests_of(folder):
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return [(str(file.relative_to(folder)), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]


def pull(address, name, reference, sha256):
    """The module in an image, read as Istio reads it: the digest of the manifest is `sha256`; the media type is not
    Docker's; the last layer is a gzipped OCI tar; in it the first file whose base name is plugin.wasm."""

    def get(path):
        request = urllib.request.Request(f"http://{address}/v2/{name}/{path}")
        request.add_header("accept", f"{OCI}.manifest.v1+json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    raw = get(f"manifests/{reference}")
    assert hashlib.sha256(raw).hexdigest() == sha256, "the checksum of the manifest"
    manifest = json.loads(raw)
    assert manifest["mediaType"] == f"{OCI}.manifest.v1+json"
    layer = manifest["layers"][-1]
    assert layer["mediaType"] == f"{OCI}.layer.v1.tar+gzip"
    blob = get(f"blobs/{layer['digest']}")
    assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == layer["digest"] and len(blob) == layer["size"]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as archive:
        for member in archive:
            if member.name.rpartition("/")[2] == "plugin.wasm":
                return archive.extractfile(member).read()
    raise AssertionError("plugin.wasm not found in the archive")


class Images(unittest.TestCase):
    def setUp(self):
        for name in MODULES:
            built(name)
        self.images = package.images()

    def test_every_module_has_an_image(self):
        self.assertEqual({image.name for image in self.images}, set(MODULES))

    def test_the_same_module_gives_the_same_image(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("one", "two"):
                for image in package.images():
                    image.write(Path(folder) / name / image.name)
            written = digests_of(Path(folder) / "one")
            self.assertEqual(written, digests_of(Path(folder) / "two"))
        for path, content in written:
            if "blobs/sha256" in path:
                self.assertEqual(Path(path).name, content)

    def test_publishing_pushes_every_module_and_writes_manifests_that_name_what_it_pushed(self):
        with Children() as children, tempfile.TemporaryDirectory() as folder:
            address = registry.start(children)
            repository = f"{address}/team/tidegate"
            package.publish(self.images, f"oci://{repository}/", Path(folder))
            found = {}
            for file, document in manifests(Path(folder)):
                with self.subTest(file=file):
                    self.assertIsNone(refusal(document))
                for name, sha256 in named(document):
                    found.setdefault(name, set()).add(sha256)
            for image in self.images:
                with self.subTest(module=image.name):
                    self.assertEqual(found[f"{repository}/{image.name}"], {image.digest})
                    sha256 = image.digest.removeprefix("sha256:")
                    for reference in (image.version, image.digest):
                        pulled = pull(address, f"team/tidegate/{image.name}", reference, sha256)
                        self.assertEqual(pulled, built(image.name).read_bytes())

    def test_a_push_logs_in_where_the_registry_asks_for_it(self):
        image, *_ = self.images
        right = {"REGISTRY_USER": "me", "REGISTRY_PASSWORD": "secret"}
        with Children() as children, tempfile.TemporaryDirectory() as folder:
            place = f"{registry.start(children, login=True)}/tidegate"
            with mock.patch.dict(os.environ, right):
                package.publish([image], place, Path(folder))
            for wrong in ({}, right | {"REGISTRY_PASSWORD": "guess"}):
                with (
                    mock.patch.dict(os.environ, wrong),
                    self.assertRaisesRegex(package.PushFailed, "authentication|401"),
                ):
                    package.publish([image], place, Path(folder))

    def test_a_registry_elsewhere_is_spoken_to_by_tls_and_a_password_is_on_no_command_line(self):
        with mock.patch.dict(os.environ, {"REGISTRY_USER": "me", "REGISTRY_PASSWORD": "hunter2"}):
            command = package.Registry("registry.example.org/tidegate").command("layout", "name", "1.0.0")
        self.assertIn("--dest-tls-verify=true", command)
        self.assertNotIn("hunter2", " ".join(command))

    def test_a_registry_that_is_not_there_is_one_sentence(self):
        image, *_ = self.images
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(package.PushFailed, "^127.0.0.1:1/tidegate/.+ was not pushed: .*refused"):
                package.publish([image], "127.0.0.1:1/tidegate", Path(folder))


def named(document):
    """The images that a resource names with a digest; where there is a field for it, the two agree."""
    if isinstance(document, list):
        for part in document:
            yield from named(part)
    elif isinstance(document, dict):
        for key in ("url", "uri", "reference"):
            image, at, digest = str(document.get(key, "")).removeprefix("oci://").partition("@")
            if at:
                assert key != "url" or f"sha256:{document['sha256']}" == digest, document
                yield image, digest
        for part in document.values():
            yield from named(part)
