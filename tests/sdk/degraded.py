"""Asks a server in every way that an unmodified SDK has, without retries, and prints what it made of each answer."""

import json
import sys

import anthropic
import openai

ASKED = [{"role": "user", "content": "Hello"}]


def chat(client):
    choice = client.chat.completions.create(model="small", messages=ASKED).choices[0]
    return choice.message.content, choice.finish_reason


def chat_stream(client):
    chunks = list(client.chat.completions.create(model="small", messages=ASKED, stream=True))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    return "".join(choice.delta.content or "" for choice in choices), choices[-1].finish_reason


def completion(client):
    choice = client.completions.create(model="small", prompt="Hello").choices[0]
    return choice.text, choice.finish_reason


def completion_stream(client):
    chunks = list(client.completions.create(model="small", prompt="Hello", stream=True))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    return "".join(choice.text for choice in choices), choices[-1].finish_reason


def message(client):
    answer = client.messages.create(model="small", messages=ASKED, max_tokens=16)
    return answer.content[0].text, answer.stop_reason


def message_stream(client):
    with client.messages.stream(model="small", messages=ASKED, max_tokens=16) as stream:
        answer = stream.get_final_message()
    return answer.content[0].text, answer.stop_reason


SDKS = {
    "openai": (
        lambda url: openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0),
        [chat, chat_stream, completion, completion_stream],
    ),
    "anthropic": (
        lambda url: anthropic.Anthropic(base_url=url, api_key="sk-test", max_retries=0),
        [message, message_stream],
    ),
}


def outcome(call, client):
    try:
        return call(client)
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return type(error).__name__, error.status_code


def main():
    sdk, url = sys.argv[1:]
    connect, calls = SDKS[sdk]
    client = connect(url)
    json.dump({call.__name__: outcome(call, client) for call in calls}, sys.stdout)


main()
