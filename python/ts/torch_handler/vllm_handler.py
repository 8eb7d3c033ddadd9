# SPDX-License-Identifier: Apache-2.0
"""Default handler `vllm_handler`: a language model in vllm (0.6), behind OpenAI's calls.

What follows /predictions/{model}/{version}/ says which: v1/completions, v1/chat/completions or
v1/models.
"""

import os
import time
import types

from ts.handler_utils.utils import send_intermediate_predict_response
from ts.torch_handler.base_handler import BaseHandler
from ts.utils.packages import require
from ts.utils.util import PredictionException

_USER = "vllm_handler"
_OPENAI = "vllm.entrypoints.openai."
_LAST = "data: [DONE]\n\n"


async def _never():
    return False


class VLLMHandler(BaseHandler):
    def __init__(self):
        super().__init__()
        self.vllm_engine = None
        self.model_name = None
        self.model_dir = None
        self.lora_ids = {}
        self.adapters = None
        self.chat_completion_service = None
        self.completion_service = None
        # What vllm's services look at in a request. Whether the client has left is not theirs to
        # ask: the server cancels handle() then.
        self.raw_request = types.SimpleNamespace(headers={}, state=types.SimpleNamespace(),
                                                 is_disconnected=_never)

    def initialize(self, ctx):
        from sconce.aserving import event_loop

        self.model_dir = ctx.system_properties.get("model_dir")
        settings = ctx.model_yaml_config.get("handler", {})
        config = self._get_vllm_engine_config(settings)
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
        self.vllm_engine = require("vllm", _USER).AsyncLLMEngine.from_engine_args(config)
        self.adapters = settings.get("adapters", {})
        model = event_loop().run_until_complete(self.vllm_engine.get_model_config())
        self._make_services(model, config.served_model_name or [config.model],
                            settings.get("chat_template"))
        self.initialized = True

    def _make_services(self, model, names, chat_template):
        adapter = require(_OPENAI + "serving_engine", _USER).LoRAModulePath
        common = {"lora_modules": [adapter(name, path) for name, path in self.adapters.items()],
                  "prompt_adapters": None, "request_logger": None}
        completion = require(_OPENAI + "serving_completion", _USER).OpenAIServingCompletion
        chat = require(_OPENAI + "serving_chat", _USER).OpenAIServingChat
        self.completion_service = completion(self.vllm_engine, model, names, **common)
        self.chat_completion_service = chat(self.vllm_engine, model, names, "assistant",
                                            chat_template=chat_template, **common)

    def _get_vllm_engine_config(self, handler_config):
        """vllm's arguments: `vllm_engine_config` of the YAML file's section `handler`."""
        settings = handler_config.get("vllm_engine_config", {})
        model = settings.get("model") or handler_config.get("model_path")
        if not model:
            raise AssertionError("the model's YAML file has to name the model: handler: "
                                 "{model_path: …}")
        inside = os.path.join(self.model_dir, model)
        if not settings.get("model") and os.path.exists(inside):
            model = inside
        config = require("vllm", _USER).AsyncEngineArgs(model=model)
        for name, value in settings.items():
            if name in vars(config) and name != "model":
                setattr(config, name, value)
        return config

    async def handle(self, data, context):
        began = time.perf_counter()
        prepared = await self.preprocess(data, context)
        output = await self.postprocess(await self.inference(prepared, context))
        milliseconds = round(1000 * (time.perf_counter() - began), 2)
        context.metrics.add_time("HandlerTime", milliseconds, None, "ms")
        return output

    async def preprocess(self, requests, context):
        if len(requests) != 1:
            raise AssertionError("vllm makes its own batches: batchSize has to be 1")
        body = requests[0].get("data") or requests[0].get("body")
        return [body.decode("utf-8") if isinstance(body, (bytes, bytearray)) else body]

    async def inference(self, input_batch, context):
        path = context.get_request_header(0, "url_path")
        if path == "v1/models":
            models = await self.chat_completion_service.show_available_models()
            return [models.model_dump()]
        protocol = require(_OPENAI + "protocol", _USER)
        if path == "v1/completions":
            kind, create = protocol.CompletionRequest, self.completion_service.create_completion
        elif path == "v1/chat/completions":
            kind = protocol.ChatCompletionRequest
            create = self.chat_completion_service.create_chat_completion
        else:
            raise PredictionException("Unknown API endpoint: %s" % path, 404)
        body = input_batch[0]
        parse = kind.model_validate_json if isinstance(body, str) else kind.model_validate
        request = parse(body)
        answer = await create(request, self.raw_request)
        if isinstance(answer, protocol.ErrorResponse) or not request.stream:
            return [answer.model_dump()]
        return [await self._stream(answer, context)]

    async def _stream(self, pieces, context):
        """Sends all pieces but the last, which it returns."""
        last = ""
        async for last in pieces:
            if last != _LAST:
                send_intermediate_predict_response([last], context.request_ids, "Result", 200,
                                                   context)
        return last

    async def postprocess(self, inference_outputs):
        return inference_outputs
