# SPDX-License-Identifier: Apache-2.0
"""Formats of models beside TorchScript and plain weights, each with the library it needs."""

import importlib
import os
import zipfile

import torch

from ts.utils.packages import require

OPENVINO = (".xml", ".tflite", ".pdmodel")      # files that its runtime reads, beside ONNX
_OPTIMIZED = os.path.join("optimized", "optimized.json")


def optimized_model(model_dir, device, config, original):
    """What `sconce optimize` has put beside the original model, if it can be used here, or None."""
    if not os.path.exists(os.path.join(model_dir, _OPTIMIZED)):
        return None     # and nothing is imported for it
    artifact = importlib.import_module("sconce.compiled.artifact")
    return artifact.find(model_dir, device, config, original)


def _called_as_module(name, load, device):
    """What `load(threads)` makes, with the manners of a module."""
    compiled = importlib.import_module("sconce.compiled.model")
    return compiled.CompiledModel(name, load, torch.get_num_threads(), device)


def onnx_model(session, path, map_location, device):
    """A session that is called as a module, too. `session(path, map_location)` makes it."""
    runtimes = importlib.import_module("sconce.compiled.runtimes")
    return _called_as_module(runtimes.Onnx.name, lambda threads: runtimes.OnnxRunner(
        session(path, map_location), device), device)


def openvino_model(path, device):
    require("openvino", os.path.basename(path))
    runtimes = importlib.import_module("sconce.compiled.runtimes")
    return _called_as_module(runtimes.OpenVino.name, lambda threads: runtimes.OpenVino.load(
        path, {}, threads, device), device)


def onnx_session(path, map_location):
    onnxruntime = require("onnxruntime", os.path.basename(path))
    options = onnxruntime.SessionOptions()
    # The server gives every worker its share of the processors, and a waiting thread that spins
    # takes one away from the others.
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = ["CPUExecutionProvider"]
    if map_location == "cuda":
        providers.insert(0, "CUDAExecutionProvider")
    return onnxruntime.InferenceSession(path, sess_options=options, providers=providers)


def _is_compiled(path):
    """Whether the package holds a library that AOTInductor has made, and not only a program."""
    with zipfile.ZipFile(path) as package:
        return any("/aotinductor/" in name for name in package.namelist())


def exported_model(path, map_location, device):
    """What torch.export has made: a package (.pt2) with a program, or with what AOTInductor has
    compiled from it; or such a library alone (.so), of older versions."""
    if not path.endswith(".pt2"):
        return torch._export.aot_load(path, map_location)
    if _is_compiled(path):
        index = device.index if device.index is not None else -1
        return torch._inductor.aoti_load_package(path, device_index=index)
    program = torch.export.load(path)
    if device.type != "cpu":
        passes = importlib.import_module("torch.export.passes")
        program = passes.move_to_device_pass(program, str(device))
    return program.module()


def use_tensor_cores(device):
    """Where the GPU has some, multiplications may be a little less exact and are much faster."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        torch.set_float32_matmul_precision("high")


def with_ipex(model, device):
    try:
        ipex = importlib.import_module("intel_extension_for_pytorch")
    except ImportError:
        print("ipex_enable is set, but intel_extension_for_pytorch is not installed.")
        return model
    return ipex.optimize(model.to(memory_format=torch.channels_last).to(device))


def compile_options(pt2):
    """Arguments for torch.compile from `pt2` of a model's YAML file, None for "do not compile".

    It is {compile: {enable: true, …}}, or in older files the arguments themselves, or a backend.
    """
    if not pt2:
        return None
    if isinstance(pt2, str):
        return {"backend": pt2}
    if not isinstance(pt2, dict):
        raise ValueError("pt2 in the model's YAML file is a string or a mapping, not %r" % (pt2,))
    if "compile" in pt2:
        options = dict(pt2["compile"] or {})
        return options if options.pop("enable", False) is True else None
    return None if "export" in pt2 else dict(pt2)


def advice(path):
    """Why there is no model, for somebody who reads the log."""
    if not path:
        return "the archive has neither a serialized file nor a model file: no model to load"
    name = os.path.basename(path)
    if path.endswith(".so"):
        return ("%s is loaded only with pt2: {export: {aot_compile: true}} in the model's YAML file"
                % name)
    return ("%s cannot be loaded: it must end in .pt (TorchScript), .pt2 (torch.export), .onnx, "
            ".xml (OpenVINO), .tflite or .so (AOTInductor), or the archive needs a model file with "
            "the model's class" % name)
