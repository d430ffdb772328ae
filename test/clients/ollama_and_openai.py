"""The official Python packages `ollama` and `openai`, directly against a backend and through llamero: the same result.

LLAMERO_URL=http://127.0.0.1:11435 OLLAMA_DIRECT_URL=http://127.0.0.1:11434 python3 test/clients/ollama_and_openai.py
"""
import os
import sys

import ollama
import openai

ROUTER, DIRECT = os.environ["LLAMERO_URL"], os.environ["OLLAMA_DIRECT_URL"]
TAGS = ollama.Client(DIRECT).list().models
SHOWN = {tag.model: ollama.Client(DIRECT).show(tag.model).capabilities for tag in TAGS}
CHAT = next(name for name, can in SHOWN.items() if "completion" in can)
EMBED = next(name for name, can in SHOWN.items() if "embedding" in can)
MESSAGES = [{"role": "user", "content": "Why is the sky blue?"}]
OPTIONS = {"num_predict": 8, "temperature": 0, "seed": 1}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": CITY}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "place", "schema": CITY}}
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def native(base, **more):
    return ollama.Client(base).chat(model=CHAT, messages=MESSAGES, options=OPTIONS, **more)


def compatible(base):
    return openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0)


def completion(base, **more):
    request = {"model": CHAT, "messages": MESSAGES, "max_tokens": 8, "temperature": 0, "seed": 1, **more}
    return compatible(base).chat.completions.create(**request)


def message(answer):
    calls = [(call.function.name, call.function.arguments) for call in answer.message.tool_calls or []]
    return answer.message.content, [(name, dict(arguments)) for name, arguments in calls], answer.done_reason


def choice(answer):
    first = answer.choices[0]
    calls = [(call.function.name, call.function.arguments) for call in first.message.tool_calls or []]
    return first.message.content, calls, first.finish_reason, answer.usage.total_tokens


def streamed(base):
    chunks = completion(base, stream=True, stream_options={"include_usage": True})
    return [(chunk.choices[0].delta.content if chunk.choices else chunk.usage.total_tokens) for chunk in chunks]


FEATURES = {
    "ollama: list": lambda base: sorted(tag.model for tag in ollama.Client(base).list().models),
    "ollama: show": lambda base: ollama.Client(base).show(CHAT).model_dump(exclude={"modified_at"}),
    "ollama: chat": lambda base: message(native(base)),
    "ollama: chat, streamed": lambda base: [part.message.content for part in native(base, stream=True)],
    "ollama: tools": lambda base: message(native(base, tools=TOOLS)),
    "ollama: tools, streamed": lambda base: [message(part) for part in native(base, tools=TOOLS, stream=True)],
    "ollama: JSON schema": lambda base: message(native(base, format=CITY)),
    "ollama: image": lambda base: ollama.Client(base).generate(CHAT, "What?", images=[IMAGE], options=OPTIONS).response,
    "ollama: embed": lambda base: ollama.Client(base).embed(EMBED, ["hello", "world"]).embeddings,
    "openai: models": lambda base: sorted(model.id for model in compatible(base).models.list()),
    "openai: chat": lambda base: choice(completion(base)),
    "openai: chat, streamed": streamed,
    "openai: tools": lambda base: choice(completion(base, tools=TOOLS)),
    "openai: JSON schema": lambda base: choice(completion(base, response_format=SCHEMA)),
    "openai: embeddings": lambda base: compatible(base).embeddings.create(model=EMBED, input=["hello"]).data[0].embedding,
}
ERRORS = {
    "ollama: unknown model": lambda base: ollama.Client(base).generate("no-such-model", "x"),
    "ollama: unknown model to show": lambda base: ollama.Client(base).show("no-such-model"),
    "openai: unknown model": lambda base: completion(base, model="no-such-model"),
    "openai: unknown model to embed": lambda base: compatible(base).embeddings.create(model="no-such-model", input="x"),
}


def outcome(feature, base):
    try:
        return "got", feature(base)
    except (ollama.ResponseError, openai.APIStatusError) as error:
        return "error", (error.status_code, str(error))


failed = 0
for name, feature in {**FEATURES, **ERRORS}.items():
    direct, routed = outcome(feature, DIRECT), outcome(feature, ROUTER)
    expected = "error" if name in ERRORS else "got"
    ok = direct == routed and direct[0] == expected and direct[1]
    if "tools" in name or "JSON" in name:
        ok = ok and "Paris" in str(direct)
    failed += 0 if ok else 1
    print(f"ok     {name}" if ok else f"NOT OK {name}: through llamero {routed}, directly {direct}"[:2000])
print(f"{len(FEATURES) + len(ERRORS) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
