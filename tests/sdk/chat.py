"""Asks for one chat with an unmodified SDK and its defaults, and prints the error that it raises."""

import json
import sys

import anthropic
import ollama
import openai


def ask(sdk, url, prompt):
    messages = [{"role": "user", "content": prompt}]
    if sdk == "openai":
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test")
        client.chat.completions.create(model="m", messages=messages)
    elif sdk == "ollama":
        client = ollama.Client(host=url, headers={"authorization": "Bearer sk-test"})
        client.chat(model="m", messages=messages, options={"num_predict": 100})
    else:
        client = anthropic.Anthropic(base_url=url, api_key="sk-test")
        client.messages.create(model="m", max_tokens=100, messages=messages)


def main():
    try:
        ask(*sys.argv[1:])
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        body = error.body or {}
        outcome = {
            "raised": type(error).__name__,
            "text": str(error),
            "type": body.get("type"),
            "error": body.get("error", body),
        }
        json.dump(outcome, sys.stdout)
    except ollama.ResponseError as error:
        json.dump({"raised": type(error).__name__, "text": error.error, "status": error.status_code}, sys.stdout)
    else:
        sys.exit("the SDK raised nothing")


main()
