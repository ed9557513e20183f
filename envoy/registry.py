"""Just enough of the OCI distribution API to push an image: blobs that are not there yet, then the manifest.

HTTPS, but plain HTTP to this machine. Logs in when the registry asks, with Basic or with a token of its own.
"""

import base64
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT = 60
HERE = ("localhost", "127.0.0.1", "[::1]")


class RegistryError(Exception):
    """What went wrong, in one sentence."""


class Registry:
    def __init__(self, repository):
        """`repository` is host[:port]/path."""
        self.repository = repository.removeprefix("oci://").rstrip("/")
        host, _, self.path = self.repository.partition("/")
        scheme = "http" if re.sub(r":\d+$", "", host) in HERE else "https"
        self.address = f"{scheme}://{host}"
        self.authorization = None

    def push_blob(self, name, digest, content):
        if self.send("HEAD", self.url(name, "blobs", digest), missing_is_fine=True) is not None:
            return
        started = self.send("POST", self.url(name, "blobs", "uploads/"), b"")
        place = urllib.parse.urljoin(self.address, started["location"])
        place += ("&" if "?" in place else "?") + urllib.parse.urlencode({"digest": digest})
        self.send("PUT", place, content, "application/octet-stream")

    def push_manifest(self, name, tag, media_type, content):
        self.send("PUT", self.url(name, "manifests", tag), content, media_type)

    def url(self, name, kind, reference):
        path = "/".join(part for part in (self.path, name) if part)
        return f"{self.address}/v2/{path}/{kind}/{reference}"

    def send(self, method, url, body=None, media_type=None, missing_is_fine=False):
        """The headers of the answer; None where a 404 is fine and is the answer."""
        for may_log_in in (True, False):
            try:
                return self.open(method, url, body, media_type)
            except urllib.error.HTTPError as error:
                if error.code == 404 and missing_is_fine:
                    return None
                if error.code == 401 and may_log_in:
                    self.log_in(error.headers.get("www-authenticate", ""))
                    continue
                said = error.read(500).decode(errors="replace").strip()
                raise RegistryError(f"{method} {url} was answered {error.code} {said}") from error
            except (OSError, ValueError) as error:
                raise RegistryError(f"{self.address} does not answer: {error}") from error

    def open(self, method, url, body=None, media_type=None):
        request = urllib.request.Request(url, data=body, method=method)
        if media_type:
            request.add_header("content-type", media_type)
        if self.authorization and url.startswith(f"{self.address}/"):
            request.add_unredirected_header("authorization", self.authorization)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.headers

    def log_in(self, challenge):
        user, password = os.environ.get("REGISTRY_USER"), os.environ.get("REGISTRY_PASSWORD")
        basic = None
        if user and password:
            basic = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "bearer":
            self.authorization = self.token(dict(re.findall(r'(\w+)="([^"]*)"', rest)), basic)
        elif basic:
            self.authorization = basic
        else:
            raise RegistryError(f"{self.address} wants a login; set REGISTRY_USER and REGISTRY_PASSWORD")

    def token(self, challenge, basic):
        realm = challenge.pop("realm", "")
        if not realm.startswith(("https://", f"{self.address}/")):
            raise RegistryError(f"{self.address} names no place for a login that is safe to use: {realm!r}")
        request = urllib.request.Request(f"{realm}?{urllib.parse.urlencode(challenge)}")
        if basic:
            request.add_header("authorization", basic)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                document = json.load(answer)
        except (OSError, ValueError) as error:
            raise RegistryError(f"{realm} gives no token for a push ({error})") from error
        return f"Bearer {document.get('token') or document.get('access_token', '')}"
