"""A demonstration with a real model server: the same flood twice, without and with Tidegate.

One client floods, another asks a question on a fixed beat. Both go through the same Envoy to the same server,
first through the lane without Tidegate, then through the lane with it. The limits come from what the server
was measured to answer, so the demo fits a laptop as well as a cluster. Every number printed was measured.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import openai

import gateway
import screen
import tests.lab
import upstream
from tests.lab.envoy import Envoy
from tests.lab.process import Children
from tests.lab.report import percentile, table
from traffic import PATIENCE, Flooder, Polite

MEASURE = 6
PHASE = 20
CONNECTIONS = 48
AT_ONCE = 4
SLOWED = 0.7


def main():
    options = arguments()
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1," + os.environ.get("NO_PROXY", "")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with Children() as children:
            asyncio.run(show(children, options))
    except (upstream.Failure, tests.lab.Failure) as failure:
        sys.exit(f"\ndemo: {failure}")
    except openai.OpenAIError as error:
        sys.exit(f"\ndemo: a chat through Envoy failed ({error}); is the model server still running?")
    except KeyboardInterrupt:
        print("\ndemo: stopped; nothing is left running.", file=sys.stderr)
        sys.exit(130)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--envoy", required=True, type=Path, help="the Envoy to run")
    parser.add_argument("--wasm", required=True, type=Path, help="the rate-limit module")
    parser.add_argument("--model-python", type=Path, help="a Python that has the model server")
    parser.add_argument("--upstream", help="an OpenAI-compatible server to use instead of one of our own")
    return parser.parse_args()


async def show(children, options):
    model = await meet_the_model(children, options)
    capacity = await upstream.measure(model, AT_ONCE, MEASURE)
    screen.note(f"Asked {AT_ONCE} chats at a time, it answers {capacity:.1f} a second.")

    screen.step("Starting Envoy, with and without Tidegate")
    made = gateway.bootstrap(options.wasm, model, limits(capacity))
    envoy = Envoy(children, made, binary=options.envoy).ready()
    lanes = {name: f"http://127.0.0.1:{port}" for name, port in envoy.ports.items()}
    for limit in limits(capacity)["limits"]:
        requests = limit["requests"]
        screen.note(f"limit {limit['name']}: {requests['rate']}, burst {requests['burst']}")

    await chat(lanes["with"], model.name)

    every = max(1.0, 5 / capacity)
    screen.step("The flood")
    screen.note(
        f"The flooder keeps {CONNECTIONS} connections busy for {PHASE} s and ignores every hint. "
        f"The polite client asks one question every {every:.1f} s with the plain OpenAI SDK."
    )
    rows = []
    for lane in ("without", "with"):
        flooder, polite = await flood(lane, lanes[lane], model.name, every)
        rows.append(row(lane, flooder, polite))
        if flooder.failed or polite.failed:
            screen.note(f"failed: {flooder.failed} of the flooder's, {polite.failed} of the polite client's requests")
    if flooder.refusal:
        screen.step("What the flooder was told")
        screen.quote(flooder.refusal)
    afterwards = await upstream.measure(model, AT_ONCE, MEASURE)

    screen.step("Result")
    screen.quote(table([(title, lambda row, at=at: row[at]) for at, title in enumerate(HEAD)], rows))
    screen.note(f"Success: answered within {PATIENCE:.0f} s. The flooder sends more where it is refused at once.")
    screen.note(f"The server answered {capacity:.1f} chats a second before the flood and {afterwards:.1f} after it.")
    if afterwards < SLOWED * capacity:
        screen.note("Something else slowed it meanwhile, so the two lanes cannot be compared: try a quieter machine.")


async def meet_the_model(children, options):
    if options.upstream is None:
        screen.step("Starting a model server (llama.cpp with SmolLM2-135M, on CPU)")
        command = [options.model_python, "-B", Path(__file__).with_name("model_server.py")]
        server = children.start("model server", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        address = server.line().strip()
    else:
        address, server = upstream.base_address(options.upstream), None
        screen.step(f"Using the model server at {address}")
        screen.note(f"The demo floods it for {2 * PHASE} s with {CONNECTIONS} connections; Ctrl-C stops it.")
    model = await upstream.find(address, server)
    screen.note(f"It serves {model.name} at {address}.")
    return model


def limits(capacity):
    """A client may take a quarter of what the server answered when nobody flooded it; all together, four fifths."""

    def limit(name, per, share, burst):
        rate = max(1, round(60 * capacity * share))
        return {"name": name, "per": per, "requests": {"rate": f"{rate}/min", "burst": burst}}

    return {"limits": [limit("per-client", ["client"], 0.25, 4), limit("cluster", [], 0.8, 8)]}


async def chat(lane, model):
    screen.step("A few chats through Tidegate, with the OpenAI SDK")
    async with openai.AsyncOpenAI(base_url=f"{lane}/v1", api_key="first-visitor") as client:
        for text in ("What is a tide gate?", "Name a fish."):
            screen.note(f"> {text}")
            answer = await client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": text}], max_tokens=32
            )
            screen.note(answer.choices[0].message.content or "(an empty answer)", indent="     ")

        screen.note("> Tell me about the sea.   (streamed)")
        print("     ", end="")
        stream = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Tell me about the sea."}],
            max_tokens=16,
            stream=True,
        )
        async for event in stream:
            for choice in event.choices:
                print((choice.delta.content or "").replace("\n", " "), end="", flush=True)
        print()


async def flood(lane, address, model, every):
    print(f"\n   {lane} Tidegate", flush=True)
    flooder = Flooder(address, model, CONNECTIONS)
    polite = Polite(address, model, every)
    drawing = asyncio.create_task(draw(flooder, polite))
    await asyncio.gather(flooder.run(PHASE), polite.run(PHASE))
    drawing.cancel()
    await asyncio.wait([drawing])
    return flooder, polite


async def draw(flooder, polite):
    live = screen.Live()
    started = time.monotonic()
    try:
        while True:
            await asyncio.sleep(1)
            live.show(status(time.monotonic() - started, flooder, polite))
    finally:
        live.show(status(time.monotonic() - started, flooder, polite))


def status(seconds, flooder, polite):
    last = f"last answer {polite.latencies[-1]:.1f} s" if polite.latencies else "no answer yet"
    clock = f"{seconds:3.0f} s" if seconds < PHASE else f"{seconds:3.0f} s, last answers"
    return [
        clock,
        f"flooder  sent {flooder.sent:5}  admitted {flooder.admitted:5}  refused {flooder.refused:5}",
        f"polite   asked {polite.asked:4}  answered {len(polite.latencies):5}  {last}",
    ]


HEAD = ("", "flooder: sent", "admitted", "refused", "polite: asked", "success", "p50", "p95")


def row(lane, flooder, polite):
    return (
        f"{lane} Tidegate",
        str(flooder.sent),
        str(flooder.admitted),
        str(flooder.refused),
        str(polite.asked),
        f"{polite.success:.0%}",
        seconds(percentile(polite.latencies, 50)),
        seconds(percentile(polite.latencies, 95)),
    )


def seconds(value):
    return "-" if value is None else f"{value:.2f} s"


if __name__ == "__main__":
    main()
