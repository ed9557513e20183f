"""Calls a server: one message after the other, in calls of their own (unary, fail) or in one (bidi).

Each message is sent when the one before it was answered, and a silence was kept. Prints, for each, what came of it: the
status, its sentence and its metadata.
"""

import json
import queue
import sys
import time

import grpc

METHODS = {"unary": "Infer", "fail": "Fail", "bidi": "Bidi"}
# A caller that waits for ever shows nothing.
PATIENCE = 30


def outcome(ask, message):
    try:
        answer = ask()
    except grpc.RpcError as error:
        metadata = {key: value for key, value in [*error.initial_metadata(), *error.trailing_metadata()]}
        return {"status": error.code().name, "says": error.details(), "metadata": metadata}
    return {"status": "OK" if answer == message else "ALTERED"}


def main(target, kind, silence, *sizes):
    messages = [b"x" * int(size) for size in sizes] or [b"tensor"]
    silence = float(silence)
    path = f"/inference.GRPCInferenceService/{METHODS[kind]}"
    metadata = [("authorization", "Bearer sk-grpc")]
    with grpc.insecure_channel(target, [("grpc.enable_retries", 0)]) as channel:
        if kind != "bidi":
            call = channel.unary_unary(path)
            for message in messages:
                yield outcome(lambda m=message: call(m, timeout=PATIENCE, metadata=metadata), message)
                time.sleep(silence)
            return

        spoken = queue.SimpleQueue()
        answers = channel.stream_stream(path)(iter(spoken.get, None), timeout=PATIENCE, metadata=metadata)
        for message in messages:
            spoken.put(message)
            came = outcome(lambda: next(answers), message)
            yield came
            if came["status"] != "OK":
                spoken.put(None)
                return
            time.sleep(silence)
        spoken.put(None)
        yield outcome(lambda: b"" if next(answers, None) is None else b"more", b"")


print(json.dumps(list(main(*sys.argv[1:]))))
