"""A reference configuration in a real Envoy, in front of three model servers."""

from tests.lab.bootstrap import reference
from tests.lab.envoy import Envoy
from tests.lab.model import Model
from tests.lab.process import Children

SERVERS = 3
SERVICE = 0.02


def gateway(children: Children, file="envoy.yaml", change=lambda _: None) -> tuple[Envoy, list[Model]]:
    """The Envoy and the servers, in the order of the file: two of one region and one of another."""
    models = [Model(children, service=SERVICE) for _ in range(SERVERS)]
    made = reference(file, *(model.port for model in models))
    change(made)
    return Envoy(children, made).ready(), models
