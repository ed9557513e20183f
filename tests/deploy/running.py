"""A reference configuration in a real Envoy, in front of three model servers."""

import contextlib

import yaml

from envoy import Envoy
from model import Model
from shipped import ROOT, SHIPPED


@contextlib.contextmanager
def gateway(file="envoy.yaml", change=lambda _: None):
    """The Envoy and the servers, in the order of the file: two of one region and one of another."""
    configuration = yaml.safe_load((SHIPPED / file).read_text().replace("/etc/envoy/", f"{ROOT}/dist/"))
    change(configuration)
    anywhere = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    configuration["admin"]["address"] = configuration["static_resources"]["listeners"][0]["address"] = anywhere
    models = []
    (cluster,) = configuration["static_resources"]["clusters"]
    for region in cluster["load_assignment"]["endpoints"]:
        for place in region["lb_endpoints"]:
            models.append(Model())
            there = {"address": "127.0.0.1", "port_value": models[-1].port}
            place["endpoint"]["address"] = {"socket_address": there}
    with Envoy(configuration) as envoy:
        yield envoy, models
