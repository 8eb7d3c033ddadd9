# SPDX-License-Identifier: Apache-2.0
"""vllm_handler behind OpenAI's calls; in the place of vllm is an engine that repeats the prompt."""

import json

import pytest

from e2e.archives import make_mar

pytestmark = pytest.mark.torch

ENGINE = '''
import asyncio


class AsyncEngineArgs:
    def __init__(self, model):
        self.model, self.served_model_name = model, None


class AsyncLLMEngine:
    """Works in a task of its own, which begins while the model is loaded."""

    def __init__(self):
        self.prompts = asyncio.Queue()
        self.task = asyncio.get_event_loop().create_task(self.work())

    @classmethod
    def from_engine_args(cls, config):
        return cls()

    async def get_model_config(self):
        return None

    async def work(self):
        while True:
            prompt, words = await self.prompts.get()
            for word in prompt.split():
                await words.put(word)
            await words.put(None)

    async def generate(self, prompt):
        words = asyncio.Queue()
        await self.prompts.put((prompt, words))
        while True:
            word = await words.get()
            if word is None:
                return
            yield word
'''
PROTOCOL = '''
import json


class CompletionRequest:
    def __init__(self, members):
        self.members, self.stream = members, members.get("stream", False)

    def model_dump(self):
        return self.members

    @classmethod
    def model_validate(cls, members):
        return cls(members)

    @classmethod
    def model_validate_json(cls, text):
        return cls(json.loads(text))


class ChatCompletionRequest(CompletionRequest):
    pass


class ErrorResponse(CompletionRequest):
    pass
'''
SERVING = '''
from vllm.entrypoints.openai.protocol import CompletionRequest


class Serving:
    def __init__(self, engine, config, names, *_, **options):
        self.engine, self.names = engine, names

    async def show_available_models(self):
        return CompletionRequest({"data": self.names})

    async def create_completion(self, request, raw_request):
        words = self.engine.generate(request.members["prompt"])
        if request.stream:
            return self.events(words)
        return CompletionRequest({"words": [word async for word in words]})

    async def events(self, words):
        async for word in words:
            yield "data: %s\\n\\n" % word
        yield "data: [DONE]\\n\\n"
'''
OPENAI = "vllm/entrypoints/openai/"


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    make_mar(module_tmp, "llm", "\n", entry="vllm_handler", files={
        "vllm/__init__.py": ENGINE, OPENAI + "protocol.py": PROTOCOL,
        OPENAI + "serving_engine.py": "LoRAModulePath = tuple\n",
        OPENAI + "serving_completion.py": SERVING + "\nOpenAIServingCompletion = Serving\n",
        OPENAI + "serving_chat.py": SERVING + "\nOpenAIServingChat = Serving\n",
    }, config="asyncCommunication: true\nhandler:\n  model_path: repeater\n")
    return module_serve(store=module_tmp, default_workers_per_model=1)


def ask(server, path, **members):
    return server.call("POST", f"/predictions/llm/1.0/{path}", json=members)


def test_models(server):
    assert server.call("GET", "/predictions/llm/1.0/v1/models").json() == {"data": ["repeater"]}


def test_completion(server):
    assert ask(server, "v1/completions", prompt="to be or").json() == {"words": ["to", "be", "or"]}


def test_stream(server):
    answer = ask(server, "v1/completions", prompt="to be or", stream=True)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.text == "data: to\n\ndata: be\n\ndata: or\n\ndata: [DONE]\n\n"


def test_without_content_type(server):
    answer = server.call("POST", "/predictions/llm/1.0/v1/completions",
                         data=json.dumps({"prompt": "hello"}).encode())
    assert answer.json() == {"words": ["hello"]}


def test_unknown_call(server):
    answer = ask(server, "v1/images", prompt="x")
    assert answer.status_code == 404
    assert answer.json()["message"] == "Unknown API endpoint: v1/images"
