#!/usr/bin/env python3
"""Points the Python clients of OpenAI and Anthropic at the gateway of the examples.

    scripts/python_clients.py GATEWAY

GATEWAY is the built example, which this starts, on a free port and with the
provider of this machine. Plain and streamed calls have to work and cost what the
provider bills; a denial has to be the client's own error with our message, and must
not be tried again where that is no use: HTTP requests are counted.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import threading

import anthropic
import openai

KEYS = {
    "sk-ann": ("ann", "5.00"),
    "sk-claude": ("claude", "5.00"),
    "sk-low": ("low", "0.0004"),
    "sk-low-claude": ("low-claude", "0.0030"),
    "sk-pair": ("pair", "0.0002"),
    "sk-busy": ("busy", "5.00"),
    "sk-slow": ("slow", "5.00"),
}
USED_UP = "The budget for AI calls is used up; try again after"
TOO_MANY = "Too many AI calls in a short time; try again after"
NOT_THIS_MODEL = "This model may not be used here."
NOT_THIS_KIND = "This kind of call is not allowed here."

HELLO = [{"role": "user", "content": "Hello."}]
# What the provider on this machine is to bill.
TOKENS = {"prompt_tokens": "1000", "completion_tokens": "100"}
CHAT = {"model": "gpt-4o-mini", "messages": HELLO, "max_tokens": 200, "metadata": TOKENS}
MESSAGE = {"model": "claude-haiku-4-5", "messages": HELLO, "max_tokens": 200, "metadata": TOKENS}


class Gateway:
    """The running example."""

    def __init__(self, binary):
        users = ",".join(f"{key}={name}={month}" for key, (name, month) in KEYS.items())
        ours = {"GATEWAY_ADDRESS": "127.0.0.1:0", "GATEWAY_USERS": users}
        # No real provider, whatever the environment has.
        named = ("OPENAI", "ANTHROPIC", "GATEWAY", "DRIFTLOCK")
        rest = {name: value for name, value in os.environ.items() if not name.startswith(named)}
        self.process = subprocess.Popen(
            [binary], env=rest | ours, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        marker = "listening on "
        line = next((line for line in self.process.stdout if marker in line), None)
        assert line, f"the gateway did not start: {self.process.wait()}"
        self.url = line.split(marker)[1].strip()


class Attempts:
    """Counts HTTP requests."""

    def __init__(self):
        self.count = 0

    def hooks(self):
        return {"request": [self.sent]}

    def sent(self, _request):
        self.count += 1


def openai_client(gateway, key, **options):
    attempts = Attempts()
    http = openai.DefaultHttpxClient(event_hooks=attempts.hooks(), trust_env=False)
    base = f"{gateway.url}/v1"
    client = openai.OpenAI(api_key=key, base_url=base, http_client=http, **options)
    assert client.max_retries == options.get("max_retries", 2), "the default is to try three times"
    return client, attempts


def anthropic_client(gateway, key, **options):
    attempts = Attempts()
    http = anthropic.DefaultHttpxClient(event_hooks=attempts.hooks(), trust_env=False)
    client = anthropic.Anthropic(api_key=key, base_url=gateway.url, http_client=http, **options)
    assert client.max_retries == options.get("max_retries", 2), "the default is to try three times"
    return client, attempts


def denied(kind, attempts, call, message, expected_attempts=1):
    """The call raises exactly this error, with our message, after so many requests."""
    before = attempts.count
    try:
        call()
    except kind as error:
        assert type(error) is kind, type(error)
        assert message in str(error), f"{message!r} is not in {str(error)!r}"
        made = attempts.count - before
        assert made == expected_attempts, f"{made} requests for {error}"
        return error
    raise AssertionError(f"not denied: {message}")


def openai_calls(gateway):
    client, attempts = openai_client(gateway, "sk-ann")
    plain = client.chat.completions.create(**CHAT)
    text = plain.choices[0].message.content
    assert len(text.split()) == 100 and plain.usage.completion_tokens == 100

    chunks = list(client.chat.completions.create(**CHAT, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
    assert all(chunk.usage is None for chunk in chunks), "usage that nobody asked for"

    asked = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(**CHAT, **asked))
    assert chunks[-1].usage.prompt_tokens == 1000 and not chunks[-1].choices
    assert attempts.count == 3, attempts.count

    async def streamed():
        base = f"{gateway.url}/v1"
        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        client = openai.AsyncOpenAI(api_key="sk-ann", base_url=base, http_client=http)
        stream = await client.chat.completions.create(**CHAT, stream=True)
        parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(parts) == text

    asyncio.run(streamed())

    models = client.models.with_raw_response.list()
    assert "gpt-4o-mini" in [model.id for model in models.parse().data]
    # Four calls of $0.00021, to the nano-dollar.
    assert models.headers["x-driftlock-remaining-user"] == "4.99916", dict(models.headers)


def openai_denials(gateway):
    client, attempts = openai_client(gateway, "sk-ann")
    create = client.chat.completions.create
    error = denied(
        openai.PermissionDeniedError,
        attempts,
        lambda: create(**CHAT | {"model": "o1-pro"}),
        NOT_THIS_MODEL,
    )
    assert (error.status_code, error.code, error.param) == (403, "restricted", None)
    assert error.type == "permission_error", error.type
    denied(
        openai.PermissionDeniedError,
        attempts,
        lambda: create(**CHAT | {"model": "o1-pro", "stream": True}),
        NOT_THIS_MODEL,
    )
    error = denied(
        openai.BadRequestError, attempts, lambda: create(**CHAT | {"n": -1}), "`n` in the request"
    )
    assert (error.code, error.param) == ("unreadable_request", "n")
    denied(openai.PermissionDeniedError, attempts, lambda: client.batches.create(
        input_file_id="f", endpoint="/v1/chat/completions", completion_window="24h"
    ), NOT_THIS_KIND)  # fmt: skip

    client, attempts = openai_client(gateway, "sk-nobody")
    create = client.chat.completions.create
    denied(openai.AuthenticationError, attempts, lambda: create(**CHAT), "does not know the API key")

    client, attempts = openai_client(gateway, "sk-low")
    create = client.chat.completions.create
    create(**CHAT)
    error = denied(openai.RateLimitError, attempts, lambda: create(**CHAT | SPENDING), USED_UP)
    assert (error.status_code, error.code) == (429, "insufficient_quota")
    for secret in ["$", "0.0004", "per_user_budget"]:
        assert secret not in str(error), error
    # Asked as clients of Anthropic ask, the same is 402, which this one knows no name for.
    client, attempts = openai_client(
        gateway, "sk-low", default_headers={"anthropic-version": "2023-06-01"}
    )
    create = client.chat.completions.create
    error = denied(openai.APIStatusError, attempts, lambda: create(**CHAT | SPENDING), USED_UP)
    assert error.status_code == 402

    # A call in flight holds the budget, of which it will not need much: the client waits
    # a second, as it is told, and is served.
    client, attempts = openai_client(gateway, "sk-pair")
    create = client.chat.completions.create
    small = CHAT | {"metadata": {}}
    first = create(**small | {"stream": True, "metadata": {"pause_ms": "30"}})
    answers = []
    second = threading.Thread(target=lambda: answers.append(create(**small)))
    second.start()
    list(first)
    second.join()
    assert answers[0].usage.completion_tokens == 16 and attempts.count == 3, attempts.count

    client, attempts = openai_client(gateway, "sk-busy")
    create = client.chat.completions.create
    for _ in range(60):
        create(**CHAT | {"max_tokens": 1})
    single = client.with_options(max_retries=0).chat.completions.create
    error = denied(openai.RateLimitError, attempts, lambda: single(**CHAT), TOO_MANY)
    assert error.code == "rate_limit_exceeded"
    assert 1 <= int(error.response.headers["retry-after"]) <= 60
    assert "x-should-retry" not in error.response.headers, "waiting helps"


# More than what is left, and less than the month.
SPENDING = {"max_tokens": 600}


def anthropic_calls(gateway):
    client, attempts = anthropic_client(gateway, "sk-claude")
    plain = client.messages.create(**MESSAGE)
    text = plain.content[0].text
    assert len(text.split()) == 100 and plain.usage.output_tokens == 100

    with client.messages.stream(**MESSAGE) as stream:
        assert "".join(stream.text_stream) == text
        assert stream.get_final_message().usage.output_tokens == 100
    kinds = [event.type for event in client.messages.create(**MESSAGE, stream=True)]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop"), kinds
    assert attempts.count == 3, attempts.count

    async def streamed():
        http = anthropic.DefaultAsyncHttpxClient(trust_env=False)
        client = anthropic.AsyncAnthropic(
            api_key="sk-claude", base_url=gateway.url, http_client=http
        )
        async with client.messages.stream(**MESSAGE) as stream:
            assert "".join([part async for part in stream.text_stream]) == text

    asyncio.run(streamed())

    # Four calls of $0.0015.
    client, _ = openai_client(gateway, "sk-claude")
    left = client.models.with_raw_response.list().headers["x-driftlock-remaining-user"]
    assert left == "4.994", left


def anthropic_denials(gateway):
    client, attempts = anthropic_client(gateway, "sk-claude")
    create = client.messages.create
    error = denied(
        anthropic.PermissionDeniedError,
        attempts,
        lambda: create(**MESSAGE | {"model": "claude-opus-4-1"}),
        NOT_THIS_MODEL,
    )
    assert error.body["error"]["type"] == "permission_error", error.body
    client, attempts = anthropic_client(gateway, "sk-nobody")
    denied(
        anthropic.AuthenticationError,
        attempts,
        lambda: client.messages.create(**MESSAGE),
        "does not know the API key",
    )
    # Chat, asked for by this client.
    client, attempts = anthropic_client(gateway, "sk-busy", max_retries=0)
    chat = lambda: client.post("/v1/chat/completions", body=CHAT, cast_to=object)  # noqa: E731
    error = denied(anthropic.RateLimitError, attempts, chat, TOO_MANY)
    assert error.body["error"]["type"] == "rate_limit_error", error.body
    assert 1 <= int(error.response.headers["retry-after"]) <= 60

    client, attempts = anthropic_client(gateway, "sk-low")
    chat = lambda: client.post(  # noqa: E731
        "/v1/chat/completions", body=CHAT | SPENDING, cast_to=object
    )
    error = denied(anthropic.PaymentRequiredError, attempts, chat, USED_UP)
    assert error.body["error"]["type"] == "billing_error", error.body

    client, attempts = anthropic_client(gateway, "sk-low-claude")
    create = client.messages.create
    create(**MESSAGE)
    dear = MESSAGE | {"max_tokens": 500}
    denied(anthropic.PaymentRequiredError, attempts, lambda: create(**dear), USED_UP)


def shutdown(gateway):
    """A stream that is open when the gateway is told to stop flows to its end."""
    client, _ = openai_client(gateway, "sk-slow")
    slow = CHAT | {"stream": True, "metadata": TOKENS | {"pause_ms": "100"}}
    stream = client.chat.completions.create(**slow)
    parts = [next(stream)]
    gateway.process.send_signal(signal.SIGTERM)
    parts += stream
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert len(text.split()) == 100, text
    said, _ = gateway.process.communicate(timeout=30)
    assert gateway.process.returncode == 0
    assert said.splitlines()[-1].endswith("$0.00 of it by calls still open"), said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gateway")
    arguments = parser.parse_args()
    print(f"openai {openai.__version__}, anthropic {anthropic.__version__}")
    gateway = Gateway(arguments.gateway)
    try:
        openai_calls(gateway)
        print("openai: plain and streamed calls work and cost what they are billed")
        openai_denials(gateway)
        print("openai: denials are its own errors, and tried again only where that helps")
        anthropic_calls(gateway)
        print("anthropic: plain and streamed calls work and cost what they are billed")
        anthropic_denials(gateway)
        print("anthropic: denials are its own errors, and tried again only where that helps")
        shutdown(gateway)
        print("gateway: open streams flow to their end before it stops")
    finally:
        gateway.process.kill()


if __name__ == "__main__":
    main()
