"""Streams through the unmodified SDKs; gives back what each was told."""

import anthropic
import openai

from tests.lab.load import run

ASKED = [{"role": "user", "content": "Count from one to ten in words."}]
TOKENS = 48


def main(port):
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="sk-sdk", max_retries=0)
    said = {}
    # Not `responses.stream`, whose helper stumbles over llama.cpp's own events, which lack a `content_index`.
    events = client.responses.create(model="m", input=ASKED, max_output_tokens=TOKENS, stream=True)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    said["OpenAI responses.create, stream"] = "".join(deltas)
    chunks = client.chat.completions.create(model="m", messages=ASKED, max_tokens=TOKENS, stream=True)
    parts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    said["OpenAI chat.completions, stream"] = "".join(parts)
    client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{port}", api_key="sk-sdk", max_retries=0)
    with client.messages.stream(model="m", messages=ASKED, max_tokens=TOKENS) as events:
        said["Anthropic messages.stream"] = events.get_final_text()
    return said


if __name__ == "__main__":
    run(main)
