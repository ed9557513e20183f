"""What docs/quickstart.md shows is what a reader gets."""

import re
import unittest
import urllib.error
import urllib.request

import yaml

from envoy import Envoy
from shipped import ROOT

PAGE = (ROOT / "docs/quickstart.md").read_text()


def ask(front, body=None, **headers):
    """The status and the text of a response."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    path = "/v1/chat/completions" if body else "/v1/models"
    request = urllib.request.Request(f"http://{front}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def said(text):
    """An error's message on the page, but for the numbers of one moment."""
    return re.sub(r"\d+\.\d+", "#", re.search(r'"message":"([^"]+)"', text)[1])


class Quickstart(unittest.TestCase):
    def test_seven_requests_and_a_prompt_that_asks_for_too_much_get_what_the_page_shows(self):
        text = (ROOT / "docs/quickstart.yaml").read_text().replace("filename: dist/", f"filename: {ROOT}/dist/")
        configuration = yaml.safe_load(text)
        anywhere = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
        configuration["static_resources"]["listeners"][0]["address"] = anywhere
        configuration["admin"] = {"address": anywhere}
        (shown,) = re.findall(r"(?m)^(?:\d{3} ?)+$", PAGE)
        refused, too_much = re.findall(r'\{"error":.+', PAGE)
        with Envoy(configuration) as envoy:
            answers = [ask(envoy.front, authorization="Bearer me") for _ in range(7)]
            self.assertEqual([status for status, _ in answers], [int(status) for status in shown.split()])
            self.assertEqual(said(answers[-1][1]), said(refused))
            body = re.search(r"-d '(.+)'", PAGE.split("docker")[0])[1].encode()
            status, text = ask(envoy.front, body, authorization="Bearer you", content_type="application/json")
            self.assertEqual((status, said(text)), (400, said(too_much)))
