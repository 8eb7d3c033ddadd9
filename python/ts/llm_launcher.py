# SPDX-License-Identifier: Apache-2.0
"""`python -m ts.llm_launcher --model_id …`: a language model served, without packing an archive.

The model runs in vllm (or TensorRT-LLM), which has to be installed beside torch.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from ts.launcher import start, stop

_ENGINES = {"vllm": "vllm", "trt_llm": "tensorrt_llm"}    # engine: the package it is


def _gpus():
    import torch

    return torch.cuda.device_count()


def _given(settings):
    return {key: value for key, value in settings.items() if value is not None}


def _vllm(args):
    gpus = _gpus()
    folder = getattr(args, "vllm_engine.download_dir")
    engine = _given({"max_num_seqs": getattr(args, "vllm_engine.max_num_seqs"),
                     "max_model_len": getattr(args, "vllm_engine.max_model_len"),
                     "download_dir": os.path.abspath(folder) if folder else None,
                     "tensor_parallel_size": max(gpus, 1)})
    config = {"handler": {"model_path": args.model_id, "vllm_engine_config": engine}}
    # One worker that gets all GPUs.
    return dict(config, parallelType="custom", parallelLevel=gpus) if gpus else config


def _trt_llm(args, model_snapshot_path):
    fraction = getattr(args, "trt_llm_engine.kv_cache_free_gpu_memory_fraction")
    return {"handler": {"tokenizer_dir": os.path.abspath(model_snapshot_path),
                        "engine_dir": args.model_name + "-engine",
                        "kv_cache_config": {"free_gpu_memory_fraction": fraction}}}


def get_model_config(args, model_snapshot_path=None):
    """The model's YAML file, as a dict."""
    config = {"minWorkers": 1, "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 100,
              "responseTimeout": 1200, "startupTimeout": args.startup_timeout,
              "deviceType": "gpu" if _gpus() else "cpu", "asyncCommunication": True}
    config.update(_vllm(args) if args.engine == "vllm" else _trt_llm(args, model_snapshot_path))
    return config


@contextlib.contextmanager
def create_mar_file(args, model_snapshot_path=None):
    """The folder of a model without weights of its own, in the model store while it is served."""
    folder = Path(args.model_store) / args.model_name
    (folder / "MAR-INF").mkdir(parents=True, exist_ok=True)
    manifest = {"runtime": "python", "archiverVersion": "0.12.0", "model": {
        "modelName": args.model_name, "modelVersion": "1.0", "handler": args.engine + "_handler",
        "configFile": "model-config.yaml"}}
    (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest, indent=2))
    # A JSON document is a YAML document.
    config = get_model_config(args, model_snapshot_path)
    (folder / "model-config.yaml").write_text(json.dumps(config, indent=2))
    try:
        yield str(folder)
    finally:
        if args.engine == "vllm":
            shutil.rmtree(folder)


def _prepare_trt_llm(args):
    """The folder of the tokenizer; the engine has to be there."""
    engine = Path(args.model_store) / args.model_name / (args.model_name + "-engine")
    if not engine.is_dir():
        sys.exit("ts.llm_launcher: there is no engine in %s: build it with TensorRT-LLM "
                 "(convert_checkpoint.py, then trtllm-build --output_dir %s)" % (engine, engine))
    from ts.utils.hf_utils import download_model

    return download_model(args.model_id)


def main(args):
    """Serves until Ctrl-C or SIGTERM."""
    package = _ENGINES.get(args.engine)
    if package is None:
        sys.exit("ts.llm_launcher: --engine is one of %s, not %r"
                 % (", ".join(_ENGINES), args.engine))
    if importlib.util.find_spec(package) is None:
        sys.exit("ts.llm_launcher: --engine %s needs the package %s, which is not installed in %s"
                 % (args.engine, package, sys.executable))
    snapshot = _prepare_trt_llm(args) if args.engine == "trt_llm" else None
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with create_mar_file(args, snapshot), contextlib.suppress(KeyboardInterrupt):
        try:
            start(model_store=args.model_store, no_config_snapshots=True, models=args.model_name,
                  disable_token=args.disable_token_auth)
            signal.pause()
        finally:
            stop(wait=False)


def parser():
    flags = argparse.ArgumentParser(prog="python -m ts.llm_launcher",
                                    description="Serve a language model.")
    add = flags.add_argument
    add("--model_name", default="model", help="its name in requests (model)")
    add("--model_store", default="model_store", help="folder for its files (model_store)")
    add("--model_id", default="meta-llama/Meta-Llama-3.1-8B-Instruct",
        help="its name on Hugging Face's hub, or a folder")
    add("--disable_token_auth", action="store_true", help="requests need no key")
    add("--startup_timeout", type=int, default=1200, help="seconds that loading may take (1200)")
    add("--engine", default="vllm", help="what runs it: vllm or trt_llm (vllm)")
    add("--dtype", default="bfloat16", help="data type of a trt_llm engine (bfloat16)")
    add("--vllm_engine.max_num_seqs", type=int, default=256, help="sequences at a time (256)")
    add("--vllm_engine.max_model_len", type=int, help="length of the context (the model's)")
    add("--vllm_engine.download_dir", help="folder for downloaded weights (the hub's cache)")
    add("--trt_llm_engine.max_batch_size", type=int, default=4,
        help="batch size of a trt_llm engine (4)")
    add("--trt_llm_engine.kv_cache_free_gpu_memory_fraction", type=float, default=0.1,
        help="of the GPU's free memory, for keys and values (0.1)")
    return flags


if __name__ == "__main__":
    main(parser().parse_args())
