"""Each module as an OCI image: the same bytes every time, what Istio's fetcher takes, and manifests that name it."""

import hashlib
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from oci_registry import Registry, pull
from shipped import ROOT, manifests
from test_manifests import refusal

import package
import registry as client

MODULES = sorted(file.stem for file in (ROOT / "dist").glob("*.wasm"))


def digests_of(folder):
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return [(str(file.relative_to(folder)), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]


class Images(unittest.TestCase):
    def setUp(self):
        self.assertTrue(MODULES, "dist/ holds no module; run `make build` first")

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

    def test_an_image_that_was_pushed_holds_the_module_when_it_is_pulled(self):
        with Registry() as registry:
            for image in package.images():
                with self.subTest(module=image.name):
                    image.push(client.Registry(f"{registry.address}/team/tidegate"))
                    sha256 = image.digest.removeprefix("sha256:")
                    for reference in (image.version, image.digest):
                        pulled = pull(registry.address, f"team/tidegate/{image.name}", reference, sha256)
                        self.assertEqual(pulled, (ROOT / "dist" / f"{image.name}.wasm").read_bytes())

    def test_a_push_logs_in_where_the_registry_asks_for_it(self):
        image, *_ = package.images()
        with Registry("me", "secret") as registry:
            right = {"REGISTRY_USER": "me", "REGISTRY_PASSWORD": "secret"}
            with mock.patch.dict(os.environ, right):
                image.push(client.Registry(f"{registry.address}/tidegate"))
            self.assertIn((f"tidegate/{image.name}", image.digest), registry.manifests)
            for wrong in ({}, right | {"REGISTRY_PASSWORD": "guess"}):
                with mock.patch.dict(os.environ, wrong), self.assertRaises(client.RegistryError):
                    image.push(client.Registry(f"{registry.address}/tidegate"))

    def test_a_password_is_never_sent_in_clear_to_another_place(self):
        registry = client.Registry("127.0.0.1:1/tidegate")
        for realm in ("http://elsewhere.example.com/token", "http://127.0.0.1:12/token", ""):
            with self.assertRaises(client.RegistryError):
                registry.token({"realm": realm}, "Basic c2VjcmV0")

    def test_a_registry_that_is_not_there_is_one_sentence(self):
        with self.assertRaisesRegex(client.RegistryError, "does not answer"):
            client.Registry("127.0.0.1:1/tidegate").push_blob("x", "sha256:0", b"")

    def test_publishing_pushes_and_writes_manifests_that_name_what_it_pushed(self):
        with Registry() as registry, tempfile.TemporaryDirectory() as folder:
            repository = f"{registry.address}/tidegate"
            package.publish(package.images(), repository, Path(folder))
            digests = {image.name: image.digest for image in package.images()}
            found = {}
            for file, document in manifests(Path(folder)):
                with self.subTest(file=file):
                    self.assertIsNone(refusal(document))
                for name, sha256 in named(document):
                    found.setdefault(name, set()).add(sha256)
            for name, digest in digests.items():
                with self.subTest(module=name):
                    self.assertEqual(found[f"{repository}/{name}"], {digest})
                    pull(registry.address, f"tidegate/{name}", digest, digest.removeprefix("sha256:"))


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


if __name__ == "__main__":
    unittest.main()
