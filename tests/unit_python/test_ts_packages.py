# SPDX-License-Identifier: Apache-2.0
"""Handlers and helpers around large packages, which stand-ins of their interface take the place of:
DALI, DeepSpeed, PiPPy, transformers, Hugging Face's hub, vllm, TensorRT-LLM."""

import asyncio
import importlib
import json
import sys
import types

import pytest

from ts.context import Context, RequestProcessor


def install(monkeypatch, name, **members):
    """A module of that name for this test, with its parents."""
    module = types.ModuleType(name)
    module.__dict__.update(members)
    module.__path__ = []
    parent, _, last = name.rpartition(".")
    if parent:
        above = sys.modules.get(parent) or install(monkeypatch, parent)
        monkeypatch.setattr(above, last, module, raising=False)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def make_context(config=None, model_dir="/", **headers):
    made = Context("big", str(model_dir), {"model": {}}, 1, None, "x", model_yaml_config=config)
    made.request_ids = {0: "an-id"}
    made.request_processor = [RequestProcessor(headers)]
    return made


class Recorder:
    """Called as anything, keeps what it was given."""

    def __init__(self, *arguments, **options):
        self.arguments, self.options = arguments, options


# ---- DALI ----

DALI = {"batch_size": 3, "num_threads": 2, "device_id": 0, "seed": 7}


class Types:
    UINT8 = "uint8"
    DALIInterpType = types.SimpleNamespace(INTERP_LINEAR="linear")


class Steps:
    """The nodes of a pipeline, as text."""

    def __getattr__(self, name):
        return lambda *inputs, **options: (name, inputs, options)

    decoders = types.SimpleNamespace(image=lambda data, device: ("decode", (data,), device))


@pytest.fixture
def dali(monkeypatch):
    made = install(monkeypatch, "nvidia.dali", fn=Steps(),
                   pipeline_def=lambda define: lambda **options: (define(), options))
    install(monkeypatch, "nvidia.dali.types", **{
        name: value for name, value in vars(Types).items() if not name.startswith("_")})
    pipeline = types.SimpleNamespace(deserialize=lambda **options: options)
    install(monkeypatch, "nvidia.dali.pipeline", Pipeline=pipeline)
    return made


def test_pipeline_of_imagenet(dali):
    from ts.handler_utils.preprocess.dali import get_dali_pipeline

    (last, (resized,), crop), options = get_dali_pipeline(make_context({"dali": DALI}))
    assert options == {**DALI, "prefetch_queue_depth": 1}
    assert last == "crop_mirror_normalize" and crop["crop"] == (224, 224)
    assert crop["mean"] == pytest.approx([123.675, 116.28, 103.53])
    assert resized[0] == "resize" and resized[2]["mode"] == "not_smaller"
    assert resized[1][0][1][0][2]["name"] == "source"


def test_pipeline_of_the_archive(dali, tmp_path):
    from ts.handler_utils.preprocess.dali import get_dali_pipeline

    context = make_context({"dali": {**DALI, "pipeline_file": "my.dali"}}, tmp_path)
    with pytest.raises(RuntimeError, match="lacks my.dali"):
        get_dali_pipeline(context)
    (tmp_path / "my.dali").touch()
    assert get_dali_pipeline(context) == {"filename": str(tmp_path / "my.dali"), **DALI,
                                          "prefetch_queue_depth": 1}
    with pytest.raises(ValueError, match="no section dali"):
        get_dali_pipeline(make_context({}))


def test_images_decoded_by_dali(torch, dali, tmp_path):
    from ts.torch_handler.dali_image_classifier import DALIImageClassifier

    class Decoded(list):
        at = list.__getitem__

    handler = DALIImageClassifier()
    handler.device = torch.device("cpu")
    handler.pipeline = types.SimpleNamespace(
        run=lambda source: [Decoded([int(x) for x in image] for image in source)])
    tensor = handler.preprocess([{"data": b"\1\2"}, {"body": bytearray(b"\3\4")}])
    assert tensor.tolist() == [[1, 2], [3, 4]]
    handler.set_max_result_classes(1)
    assert [list(a) for a in handler.postprocess(tensor.float())] == [["1"], ["1"]]


# ---- DeepSpeed ----

def test_deepspeed(monkeypatch, tmp_path):
    from ts.handler_utils.distributed.deepspeed import get_ds_engine

    install(monkeypatch, "deepspeed", init_inference=lambda model, **options: (model, options))
    weights = tmp_path / "weights"
    (weights / "deep").mkdir(parents=True)
    for name in ("a.bin", "deep/b.pt", "c.txt"):
        (weights / name).touch()
    config = {"handler": {"model_path": str(weights)},
              "deepspeed": {"config": "ds.json", "checkpoint": "checkpoints.json"}}
    with pytest.raises(ValueError, match="lacks ds.json"):
        get_ds_engine("model", make_context(config, tmp_path))
    (tmp_path / "ds.json").touch()
    model, options = get_ds_engine("model", make_context(config, tmp_path))
    assert model == "model" and options == {
        "config": str(tmp_path / "ds.json"), "base_dir": str(weights),
        "checkpoint": str(tmp_path / "checkpoints.json")}
    written = json.loads((tmp_path / "checkpoints.json").read_text())
    assert sorted(written.pop("checkpoints")) == [str(weights / "a.bin"),
                                                  str(weights / "deep/b.pt")]
    assert written == {"type": "ds_model", "version": 1.0}
    config["deepspeed"] = {}
    assert get_ds_engine("m", make_context(config))[1]["config"] is None
    del config["deepspeed"]
    with pytest.raises(ValueError, match="no section deepspeed"):
        get_ds_engine("m", make_context(config))


def test_rank_of_a_deepspeed_handler(torch, monkeypatch):
    from ts.torch_handler.distributed.base_deepspeed_handler import BaseDeepSpeedHandler

    for rank, device in ((None, 0), ("3", 3)):
        monkeypatch.delenv("LOCAL_RANK", raising=False)
        if rank:
            monkeypatch.setenv("LOCAL_RANK", rank)
        handler = BaseDeepSpeedHandler()
        handler.initialize(make_context())
        assert handler.device == device


# ---- PiPPy ----

class Model:
    def eval(self):
        self.evaluated = True

    def forward(self, ids, mask, cache=None, hidden=3):
        pass


@pytest.fixture
def pippy(monkeypatch):
    calls = []

    def all_compile(model, **options):
        calls.append(options)
        return "driver", "mode"

    module = install(monkeypatch, "pippy", all_compile=all_compile,
                     split_into_equal_size=lambda size: ("equal", size))
    install(monkeypatch, "pippy.hf", PiPPyHFTracer=lambda: "tracer",
            inject_pipeline_forward=lambda model, driver: setattr(model, "driver", driver))
    module.calls = calls
    return module


def pippy_config(**more):
    return {"pippy": {"input_names": ["ids", "mask"], "model_type": "HF", "chunks": 4, **more},
            "handler": {"model_path": "/"}}


def test_pipeline_of_a_model_of_hugging_face(pippy):
    from ts.handler_utils.distributed.pt_pippy import get_pipeline_driver

    model = Model()
    assert get_pipeline_driver(model, 2, make_context(pippy_config())) is model
    assert model.driver == "driver" and model.evaluated
    assert pippy.calls == [{
        "num_ranks": 2, "num_chunks": 4, "schedule": "FillDrain", "split_policy": ("equal", 2),
        "tracer": "tracer", "concrete_args": {"cache": None, "hidden": 3},
        "index_filename": None, "checkpoint_prefix": None}]


def test_pipeline_of_any_other_model(pippy):
    from ts.handler_utils.distributed.pt_pippy import get_pipeline_driver

    assert get_pipeline_driver(Model(), 2, make_context(pippy_config(model_type="own"))) == "driver"
    assert pippy.calls[0]["tracer"] is None


@pytest.mark.parametrize("section,key", [("pippy", "input_names"), ("pippy", "model_type"),
                                         ("handler", "model_path")])
def test_what_a_pipeline_needs_to_know(pippy, section, key):
    from ts.handler_utils.distributed.pt_pippy import get_pipeline_driver

    config = pippy_config()
    del config[section][key]
    with pytest.raises(AssertionError, match=f"lacks {section}: {{{key}"):
        get_pipeline_driver(Model(), 2, make_context(config))


def test_rpc_workers(torch, monkeypatch):
    from ts.torch_handler.distributed.base_pippy_handler import BasePippyHandler

    calls, maps = [], {}

    class Options(Recorder):
        def set_device_map(self, worker, devices):
            maps[worker] = devices

    install(monkeypatch, "torch.distributed.rpc", TensorPipeRpcBackendOptions=Options,
            init_rpc=lambda name, **options: calls.append((name, options)))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    handler = BasePippyHandler()
    handler.initialize(make_context({"pippy": {"rpc_timeout": 60, "num_worker_threads": 8}}))
    assert (handler.local_rank, handler.world_size, handler.device) == (1, 3, 1)
    (name, options), = calls
    assert name == "worker1" and (options["rank"], options["world_size"]) == (1, 3)
    assert options["rpc_backend_options"].options == {"num_worker_threads": 8, "rpc_timeout": 60}
    assert maps == {"worker0": {1: 0}, "worker1": {1: 1}, "worker2": {1: 0}}


# ---- transformers and their hub ----

class Streamer:
    def __init__(self, tokenizer, skip_prompt, timeout, **options):
        self.texts = []

    def put(self, value):
        self.texts.append(value[0])

    def end(self):
        self.texts.append(None)

    def __iter__(self):
        return iter(self.texts[:-1])


class Rows(list):
    @property
    def shape(self):
        return (len(self),)


def test_texts_of_a_batch_as_they_come(monkeypatch):
    install(monkeypatch, "transformers.generation.streamers", BaseStreamer=object,
            TextIteratorStreamer=Streamer)
    monkeypatch.delitem(sys.modules, "ts.handler_utils.hf_batch_streamer", raising=False)
    streamer = importlib.import_module(
        "ts.handler_utils.hf_batch_streamer").TextIteratorStreamerBatch("tokenizer", 2)
    for rows in (["hello", "good"], ["world", "day"]):
        streamer.put(Rows(rows))
    streamer.end()
    with pytest.raises(ValueError, match=r"batches of 2, .* shape \(3,\)"):
        streamer.put(Rows("abc"))
    streamer.streamer_iterators = [iter(s) for s in streamer.streamers]
    assert list(streamer) == [[{"text": "hello"}, {"text": "good"}],
                              [{"text": "world"}, {"text": "day"}]]
    sys.modules.pop("ts.handler_utils.hf_batch_streamer")


def test_download(monkeypatch):
    from ts.utils.hf_utils import download_model

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="needs the package huggingface_hub"):
        download_model("x")
    install(monkeypatch, "huggingface_hub", snapshot_download=lambda **options: options)
    asked = download_model("gpt2", "v1", model_path="here", use_auth_token=False)
    assert (asked["repo_id"], asked["revision"], asked["cache_dir"], asked["token"]) == (
        "gpt2", "v1", "here", False)
    assert "*.safetensors" in asked["allow_patterns"]


# ---- vllm ----

class Document:
    """Like the documents of vllm's protocol, which are pydantic's."""

    def __init__(self, members):
        self.members = members
        self.stream = members.get("stream", False)

    def model_dump(self):
        return self.members

    @classmethod
    def model_validate(cls, members):
        return cls(members)

    @classmethod
    def model_validate_json(cls, text):
        return cls(json.loads(text))


class Error(Document):
    pass


class Completions(Recorder):
    async def create_completion(self, request, raw_request):
        assert raw_request.headers == {} and not await raw_request.is_disconnected()
        if "prompt" not in request.members:
            return Error({"object": "error"})
        return self.pieces() if request.stream else Document({"text": request.members["prompt"]})

    async def pieces(self):
        for piece in ("data: a\n\n", "data: b\n\n", "data: [DONE]\n\n"):
            yield piece


class Chat(Recorder):
    async def show_available_models(self):
        return Document({"data": self.arguments[2]})

    async def create_chat_completion(self, request, raw_request):
        return Document({"chat": request.members["messages"]})


class EngineArguments:
    def __init__(self, model):
        self.model, self.max_num_seqs, self.served_model_name = model, 256, None


class Engine:
    def __init__(self, config):
        self.config = config

    from_engine_args = classmethod(lambda cls, config: cls(config))

    async def get_model_config(self):
        return "the model's config"


@pytest.fixture
def vllm(torch, monkeypatch):
    openai = "vllm.entrypoints.openai."
    install(monkeypatch, "vllm", AsyncEngineArgs=EngineArguments, AsyncLLMEngine=Engine)
    install(monkeypatch, openai + "protocol", CompletionRequest=Document, ErrorResponse=Error,
            ChatCompletionRequest=Document)
    install(monkeypatch, openai + "serving_engine", LoRAModulePath=lambda name, path: (name, path))
    install(monkeypatch, openai + "serving_completion", OpenAIServingCompletion=Completions)
    install(monkeypatch, openai + "serving_chat", OpenAIServingChat=Chat)
    from ts.torch_handler.vllm_handler import VLLMHandler

    def start(settings, model_dir="/"):
        handler = VLLMHandler()
        handler.initialize(make_context({"handler": settings}, model_dir))
        return handler

    return start


def ask(handler, path, body):
    return asyncio.run(handler.handle([{"body": body}], make_context(url_path=path)))


def test_vllm(vllm, tmp_path):
    handler = vllm({"model_path": "llama", "chat_template": "t", "adapters": {"a": "/a"},
                    "vllm_engine_config": {"max_num_seqs": 8, "unknown": 1}})
    config = handler.vllm_engine.config
    assert (config.model, config.max_num_seqs, hasattr(config, "unknown")) == ("llama", 8, False)
    completion, chat = handler.completion_service, handler.chat_completion_service
    assert completion.arguments[1:] == ("the model's config", ["llama"])
    assert completion.options["lora_modules"] == [("a", "/a")]
    assert chat.arguments[3] == "assistant" and chat.options["chat_template"] == "t"
    (tmp_path / "llama").touch()
    assert vllm({"model_path": "llama"}, tmp_path).vllm_engine.config.model == str(
        tmp_path / "llama")
    named = {"vllm_engine_config": {"model": "m", "served_model_name": ["n"]}}
    assert vllm(named).completion_service.arguments[2] == ["n"]
    with pytest.raises(AssertionError, match="name the model"):
        vllm({})


@pytest.mark.parametrize("path,body,answer", [
    ("v1/models", b"", {"data": ["llama"]}),
    ("v1/completions", b'{"prompt": "Hi"}', {"text": "Hi"}),
    ("v1/completions", {"prompt": "Hi"}, {"text": "Hi"}),
    ("v1/completions", "{}", {"object": "error"}),
    ("v1/chat/completions", b'{"messages": []}', {"chat": []}),
])
def test_calls_of_openai(vllm, path, body, answer):
    assert ask(vllm({"model_path": "llama"}), path, body) == [answer]


def test_vllm_streams(vllm, monkeypatch):
    from ts.torch_handler import vllm_handler

    sent = []
    monkeypatch.setattr(vllm_handler, "send_intermediate_predict_response",
                        lambda pieces, ids, *_: sent.append((pieces, ids)))
    answer = ask(vllm({"model_path": "llama"}), "v1/completions",
                 {"prompt": "Hi", "stream": True})
    assert sent == [(["data: a\n\n"], {0: "an-id"}), (["data: b\n\n"], {0: "an-id"})]
    assert answer == ["data: [DONE]\n\n"]


def test_what_vllm_refuses(vllm):
    from ts.utils.util import PredictionException

    handler = vllm({"model_path": "llama"})
    with pytest.raises(PredictionException, match="Unknown API endpoint: v1/x") as failure:
        ask(handler, "v1/x", b"{}")
    assert failure.value.error_code == 404
    with pytest.raises(AssertionError, match="batchSize has to be 1"):
        asyncio.run(handler.handle([{}, {}], make_context()))


@pytest.mark.parametrize("module,name,package", [
    ("vllm_handler", "VLLMHandler", "vllm"), ("trt_llm_handler", "TRTLLMHandler", "tensorrt_llm")])
def test_without_the_engine(torch, monkeypatch, module, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    handler = getattr(importlib.import_module("ts.torch_handler." + module), name)()
    settings = {"model_path": "m", "tokenizer_dir": "t", "engine_dir": "e"}
    with pytest.raises(ImportError, match=f"{module} needs the package {package}"):
        handler.initialize(make_context({"handler": settings}))


# ---- TensorRT-LLM ----

class TensorRT(Recorder):
    async def generate_async(self, prompt, streaming, sampling_params):
        assert sampling_params.options == {"end_id": 7, "pad_id": 7, "top_k": 3}
        for i in range(2):
            output = types.SimpleNamespace(text=prompt + "!", token_ids=list(range(i + 1)))
            yield types.SimpleNamespace(outputs=[output])


def test_tensorrt_llm(torch, monkeypatch):
    from ts.torch_handler import trt_llm_handler

    tokenizer = types.SimpleNamespace(eos_token_id=7, pad_token_id=None,
                                      decode=lambda ids: f"token {ids[0]}")
    install(monkeypatch, "tensorrt_llm.hlapi", LLM=TensorRT, KvCacheConfig=Recorder,
            SamplingParams=Recorder)
    install(monkeypatch, "transformers", AutoTokenizer=types.SimpleNamespace(
        from_pretrained=lambda path, **options: tokenizer))
    sent = []
    monkeypatch.setattr(trt_llm_handler, "send_intermediate_predict_response",
                        lambda pieces, *_: sent.extend(pieces))
    handler = trt_llm_handler.TRTLLMHandler()
    handler.initialize(make_context({"handler": {
        "engine_dir": "e", "tokenizer_dir": "t", "kv_cache_config": {"fraction": 0.1}}}))
    assert handler.trt_llm_engine.options["kv_cache_config"].options == {"fraction": 0.1}
    assert ask(handler, "", b'{"prompt": "Hi", "top_k": 3}') == ["Hi!"] and not sent
    assert ask(handler, "", {"prompt": "Hi", "top_k": 3, "streaming": True}) == [""]
    assert sent == ['{"text": "token 0"}', '{"text": "token 1"}']
