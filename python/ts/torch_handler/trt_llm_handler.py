# SPDX-License-Identifier: Apache-2.0
"""Default handler `trt_llm_handler`: a language model in an engine of TensorRT-LLM (0.12).

A request is {"prompt": …, "streaming": false, …}; the rest are sampling parameters.
"""

import json
import time

from ts.handler_utils.utils import send_intermediate_predict_response
from ts.torch_handler.base_handler import BaseHandler
from ts.utils.packages import require

_USER = "trt_llm_handler"
_ENGINE = "tensorrt_llm.hlapi"


class TRTLLMHandler(BaseHandler):
    def __init__(self):
        super().__init__()
        self.trt_llm_engine = None
        self.tokenizer = None
        self.model_dir = None

    def initialize(self, ctx):
        """`handler` of the model's YAML file names tokenizer_dir and engine_dir."""
        self.model_dir = ctx.system_properties.get("model_dir")
        settings = ctx.model_yaml_config["handler"]
        engine = require(_ENGINE, _USER)
        self.tokenizer = require("transformers", _USER).AutoTokenizer.from_pretrained(
            settings["tokenizer_dir"], legacy=False, padding_side="left", truncation_side="left",
            trust_remote_code=True, use_fast=True)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token_id = self.tokenizer.eos_token_id
        self.trt_llm_engine = engine.LLM(
            model=settings["engine_dir"], tokenizer=self.tokenizer,
            kv_cache_config=engine.KvCacheConfig(**settings.get("kv_cache_config", {})))
        self.initialized = True

    async def handle(self, data, context):
        began = time.perf_counter()
        prepared = await self.preprocess(data)
        output = await self.postprocess(await self.inference(prepared, context))
        milliseconds = round(1000 * (time.perf_counter() - began), 2)
        context.metrics.add_time("HandlerTime", milliseconds, None, "ms")
        return output

    async def preprocess(self, requests):
        if len(requests) != 1:
            raise AssertionError("the engine makes its own batches: batchSize has to be 1")
        body = requests[0].get("data") or requests[0].get("body")
        return json.loads(body) if isinstance(body, (bytes, bytearray, str)) else body

    async def inference(self, data, context):
        """The whole text; or, streaming, the text of each token as it comes, then an empty one."""
        options = dict(data)
        prompt, streaming = options.pop("prompt"), options.pop("streaming", False)
        sampling = require(_ENGINE, _USER).SamplingParams(
            **{"end_id": self.tokenizer.eos_token_id, "pad_id": self.tokenizer.pad_token_id,
               **options})
        outputs = self.trt_llm_engine.generate_async(prompt, streaming=streaming,
                                                     sampling_params=sampling)
        async for output in outputs:
            if not streaming:
                return [output.outputs[0].text]
            text = self.tokenizer.decode([output.outputs[0].token_ids[-1]])
            send_intermediate_predict_response([json.dumps({"text": text})], context.request_ids,
                                               "Result", 200, context)
        return [""]

    async def postprocess(self, inference_outputs):
        return inference_outputs
