# SPDX-License-Identifier: Apache-2.0
"""What a model can be compiled to. Each candidate makes one file from a module that takes and
returns tensors in their order (Flat), and says how sconce.compiled runs it.
"""

import contextlib
import importlib.util
import os
import shutil
from collections import namedtuple

import numpy as np

from sconce.compiled.difference import plain
from sconce.optimize.failure import Unsuitable, sentence

ONNX, ONNX_DATA = "model.onnx", "model.data"
TENSORRT_ROWS = 128     # of a batch, at most; the original answers larger ones

# runtime, options: of sconce.compiled.runtimes. allow: what has to be asked for, or "". needs:
# packages to import, each with what pip installs.
Candidate = namedtuple("Candidate", "name title runtime precision options make allow devices needs "
                                    "native")


def _trace(x):
    import torch

    with torch.no_grad():
        if isinstance(x.module, torch.jit.ScriptModule) and x.plain:
            return x.module
        return torch.jit.trace(x.flat, tuple(x.example), check_trace=False, strict=False).eval()


def _torchscript(x, folder):
    import torch

    if x.scripted:
        raise Unsuitable("the archive's model is TorchScript already")
    torch.jit.save(_trace(x), str(folder / "model.pt"))
    return "model.pt"


def _frozen(x, folder):
    import torch

    module = _trace(x)
    if hasattr(module, "training"):
        module = torch.jit.freeze(module.eval())
    torch.jit.save(module, str(folder / "model.pt"))
    return "model.pt"


def _dynamic(x):
    """For torch.export: the dimensions that may differ, tied where they are the batch."""
    import torch

    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    shapes = []
    for spec in x.specs:
        dims = {}
        for d, size in enumerate(spec["shape"]):
            if size is None:
                dims[d] = batch if d == 0 and x.batches else torch.export.Dim.AUTO
        shapes.append(dims or None)
    return tuple(shapes)


def _exported(x):
    """A program of torch.export. A scripted module has no source to export: it is converted."""
    import torch

    if x.scripted:
        from torch._export.converter import TS2EPConverter
        return TS2EPConverter(x.module, tuple(x.example)).convert()
    with torch.no_grad():
        return torch.export.export(x.flat, tuple(x.example), dynamic_shapes=(_dynamic(x),),
                                   strict=False)


def _check_exports(x):
    if x.scripted and any(None in s["shape"] for s in x.specs):
        raise Unsuitable("a TorchScript model can be exported for one shape only; with the eager "
                         "model in the archive (--model-file) this would be built")


def _aotinductor(x, folder):
    import torch

    if shutil.which("g++") is None:
        raise Unsuitable("a C++ compiler is missing: apt-get install g++")
    _check_exports(x)
    path = str(folder / "model.pt2")
    with torch.no_grad():
        torch._inductor.aoti_compile_and_package(
            _exported(x), package_path=path, inductor_configs={"freezing": x.device.type == "cpu"})
    return "model.pt2"


def _export_onnx(x, path):
    import torch

    axes = {name: {d: "batch" if d == 0 and x.batches else "%s_%d" % (name, d)
                   for d, size in enumerate(spec["shape"]) if size is None}
            for name, spec in zip(x.input_names, x.specs)}
    if x.batches:
        axes.update({name: {0: "batch"} for name in x.output_names})
    with torch.no_grad():
        torch.onnx.export(_trace(x) if x.scripted else x.flat, tuple(x.example), path,
                          input_names=x.input_names, output_names=x.output_names, opset_version=17,
                          dynamo=False, dynamic_axes={k: v for k, v in axes.items() if v})
    _restore_inputs(path, x, axes)


def _restore_inputs(path, x, axes):
    """The exporter leaves inputs out that the model does not use; whoever calls it has them."""
    import onnx

    model = onnx.load(path)
    there = {i.name: i for i in model.graph.input}
    if len(there) == len(x.input_names):
        return
    del model.graph.input[:]
    for name, tensor in zip(x.input_names, x.example):
        dims = [axes[name].get(d, size) for d, size in enumerate(tensor.shape)]
        kind = onnx.helper.np_dtype_to_tensor_dtype(tensor.cpu().numpy().dtype)
        model.graph.input.append(
            there.get(name) or onnx.helper.make_tensor_value_info(name, kind, dims))
    onnx.save(model, path)


def _onnx_file(x, folder):
    if x.onnx_path:
        _copy_onnx(x.onnx_path, folder / ONNX)
    else:
        _export_onnx(x, str(folder / ONNX))
    return folder / ONNX


def _copy_onnx(source, target):
    """With weights that are in other files; beyond 2 GiB they are in one."""
    import onnx

    model = onnx.load(str(source))
    large = model.ByteSize() >= 1 << 31
    onnx.save(model, str(target), save_as_external_data=large, location=ONNX_DATA)


def _onnx(x, folder):
    return _onnx_file(x, folder).name


class _Reader:
    """The samples, for onnxruntime.quantization."""

    def __init__(self, names, calls):
        self.rows = iter([{n: plain(t) for n, t in zip(names, call["inputs"])} for call in calls])

    def get_next(self):
        return next(self.rows, None)


def _onnx_int8(x, folder):
    from onnxruntime import quantization

    if x.made_up:
        raise Unsuitable("int8 needs real samples to be calibrated with (--samples)")
    plain = _onnx_file(x, folder)
    prepared = folder / "prepared.onnx"
    quantization.quant_pre_process(str(plain), str(prepared))
    quantization.quantize_static(str(prepared), str(folder / "int8.onnx"),
                                 _Reader(x.input_names, x.calls),
                                 quant_format=quantization.QuantFormat.QDQ, per_channel=True)
    os.replace(folder / "int8.onnx", plain)
    prepared.unlink()
    return plain.name


def _openvino_model(x, folder):
    """By way of ONNX where that can be made, else from the module."""
    import openvino

    if x.model_path:
        return openvino.Core().read_model(str(x.model_path))
    if x.onnx_path or importlib.util.find_spec("onnx"):
        with contextlib.suppress(Exception):
            return openvino.convert_model(str(_onnx_file(x, folder)))
    return openvino.convert_model(x.flat, example_input=tuple(x.example))


def _openvino(x, folder):
    import openvino

    model = _openvino_model(x, folder)
    for ports, names in ((model.inputs, x.input_names), (model.outputs, x.output_names)):
        for port, name in zip(ports, names):
            port.get_tensor().set_names({name})
    openvino.save_model(model, str(folder / "model.xml"), compress_to_fp16=False)
    for left in (ONNX, ONNX_DATA):
        (folder / left).unlink(missing_ok=True)
    return "model.xml"


def _tensorrt_inputs(x):
    """Of a batch there is a range of sizes, for which it is compiled."""
    import torch_tensorrt

    if any(None in s["shape"][1:] or None in s["shape"] and not x.batches for s in x.specs):
        raise Unsuitable("TensorRT would be compiled for a range of each size, and these samples "
                         "differ in more than the batch")
    if not x.batches:
        return list(x.example)
    return [torch_tensorrt.Input(min_shape=(1, *t.shape[1:]), opt_shape=tuple(t.shape),
                                 max_shape=(TENSORRT_ROWS, *t.shape[1:]), dtype=t.dtype)
            for t in x.example]


def _tensorrt(half):
    def make(x, folder):
        import torch
        import torch_tensorrt

        _check_exports(x)
        inputs = _tensorrt_inputs(x)
        # TF32 has ten bits, and is no fp32.
        how = ({"enabled_precisions": {torch.half, torch.float}, "use_explicit_typing": False}
               if half else {"disable_tf32": True})
        module = torch_tensorrt.dynamo.compile(_exported(x), inputs=inputs, **how)
        torch_tensorrt.save(module, str(folder / "model.pt"), output_format="torchscript",
                            inputs=list(x.example))
        return "model.pt"
    return make


_ONNX = (("onnx", "onnx"), ("onnxruntime", "onnxruntime"))
_QUANTIZE = (*_ONNX, ("packaging", "packaging"), ("sympy", "sympy"))
_OPENVINO = (("openvino", "openvino"),)
_TENSORRT = (("torch_tensorrt", "torch-tensorrt"),)

CANDIDATES = [
    Candidate("torchscript", "TorchScript", "torchscript", "fp32", {}, _torchscript, "",
              ("cpu", "cuda"), (), False),
    Candidate("torchscript-frozen", "TorchScript, frozen, oneDNN", "torchscript", "fp32",
              {"onednn": True}, _frozen, "", ("cpu",), (), False),
    Candidate("aotinductor", "AOTInductor", "aotinductor", "fp32", {}, _aotinductor, "",
              ("cpu", "cuda"), (), True),
    Candidate("onnx", "ONNX Runtime", "onnx", "fp32", {}, _onnx, "", ("cpu", "cuda"), _ONNX, False),
    Candidate("openvino", "OpenVINO", "openvino", "fp32", {"precision": "f32"}, _openvino, "",
              ("cpu",), _OPENVINO, False),
    Candidate("openvino-bf16", "OpenVINO, bf16", "openvino", "bf16", {"precision": "bf16"},
              _openvino, "bf16", ("cpu",), _OPENVINO, False),
    Candidate("onnx-int8", "ONNX Runtime, int8", "onnx", "int8", {}, _onnx_int8, "int8", ("cpu",),
              _QUANTIZE, False),
    Candidate("tensorrt", "Torch-TensorRT", "tensorrt", "fp32", {}, _tensorrt(False), "",
              ("cuda",), _TENSORRT, False),
    Candidate("tensorrt-fp16", "Torch-TensorRT, fp16", "tensorrt", "fp16", {}, _tensorrt(True),
              "fp16", ("cuda",), _TENSORRT, False),
]


# By the runtime: the engine that runs it, too.
ENGINES = {"onnx": "onnx", "openvino": "openvino", "torchscript": "torch", "aotinductor": "torch"}
ALLOW = sorted({c.allow for c in CANDIDATES if c.allow})


def by_name(name):
    return next(c for c in CANDIDATES if c.name == name)


def suitable(candidate, device, allow):
    """Raises Unsuitable where it need not be tried."""
    if device not in candidate.devices:
        raise Unsuitable("it is not for %s" % device)
    if candidate.allow and candidate.allow not in allow:
        raise Unsuitable("only with --allow %s" % candidate.allow)
    missing = [(module, pip) for module, pip in candidate.needs
               if importlib.util.find_spec(module) is None]
    if missing:
        raise Unsuitable("%s not installed: python -m pip install %s"
                         % ("is" if len(missing) == 1 else "are",
                            " ".join(pip for _, pip in missing)))


def engine_facts(candidate):
    """What optimized.json says to the native worker (src/worker/optimized.c)."""
    return {"engine": ENGINES[candidate.runtime],
            "config": {"precision": "bf16"} if candidate.precision == "bf16" else {}}


def write_sample(folder, kind, arrays):
    """The same: `kind` is input or output."""
    for i, array in enumerate(arrays):
        np.save(folder / ("sample-%s-%d.npy" % (kind, i)), array)


def make(candidate, x, folder):
    """The name of the file that was made in `folder`."""
    try:
        return candidate.make(x, folder)
    except Unsuitable:
        raise
    except Exception as e:
        raise Unsuitable("it cannot be made: %s" % sentence(e)) from e
