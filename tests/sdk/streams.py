"""Reads streams with the helpers of unmodified SDKs, and prints what they made of them, as JSON."""

import json
import sys

import anthropic
import openai

ASKED = [{"role": "user", "content": "Hello"}]


def responses(url):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0)
    with client.responses.stream(model="m", input=ASKED) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        return text, stream.get_final_response().status


def messages(url):
    client = anthropic.Anthropic(base_url=url, api_key="sk-test", max_retries=0)
    with client.messages.stream(model="m", messages=ASKED, max_tokens=16) as stream:
        return stream.get_final_text(), stream.get_final_message().stop_reason


def main():
    url = sys.argv[1]
    json.dump({call.__name__: call(url) for call in (responses, messages)}, sys.stdout)


main()
