# SPDX-License-Identifier: Apache-2.0
"""What runs artefacts: one class a runtime, each made of the runtime's own Python package.

Each has

    name          for people
    load(path, options, threads, device) → a runner
    version()     of the package, or None where it is not installed
    package       what pip installs

and a runner is a callable: tensors in their order → tensors in theirs. It may be called by several
threads. Tensors are handed over without a copy where type and layout allow, and the interpreter's
lock is released while the model runs.
"""

import glob
import importlib.metadata
import importlib.util
import os
import threading

import torch


class Unavailable(RuntimeError):
    """This machine cannot run the artefact; the message says why and what would help."""


def _version(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _array(tensor):
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        raise TypeError("a tensor of bfloat16 cannot be handed to the compiled model: float32 can")
    return tensor.cpu().contiguous().numpy()


class Onnx:
    name, package = "ONNX Runtime", "onnxruntime"

    @staticmethod
    def version():
        return _version("onnxruntime") or _version("onnxruntime-gpu")

    @staticmethod
    def load(path, options, threads, device):
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        # Other workers and the server have better things to do with the processors.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = ["CPUExecutionProvider"]
        if device.type == "cuda":
            if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
                raise Unavailable("this ONNX Runtime has no CUDA: pip install onnxruntime-gpu")
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index or 0}))
        return OnnxRunner(onnxruntime.InferenceSession(path, settings, providers=providers),
                          device)


class OnnxRunner:
    def __init__(self, session, device):
        self.session, self.device = session, device
        self.inputs = [i.name for i in session.get_inputs()]

    def __call__(self, tensors):
        feeds = {name: _array(t) for name, t in zip(self.inputs, tensors)}
        return [torch.as_tensor(a, device=self.device) for a in self.session.run(None, feeds)]


class OpenVino:
    name, package = "OpenVINO", "openvino"

    @staticmethod
    def version():
        return _version("openvino")

    @staticmethod
    def load(path, options, threads, device):
        import openvino

        if device.type != "cpu":
            raise Unavailable("OpenVINO runs models on the CPU here, not on %s" % device)
        compiled = openvino.Core().compile_model(path, "CPU", {
            "INFERENCE_PRECISION_HINT": options.get("precision", "f32"),
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False})
        return OpenVinoRunner(compiled)


class OpenVinoRunner:
    def __init__(self, compiled):
        self.compiled = compiled
        self.inputs = [i.get_any_name() for i in compiled.inputs]
        self.requests = threading.local()

    def __call__(self, tensors):
        if not hasattr(self.requests, "own"):
            self.requests.own = self.compiled.create_infer_request()
        feeds = {i: _array(t) for i, t in enumerate(tensors)}
        answers = self.requests.own.infer(feeds, share_inputs=True, share_outputs=False)
        return [torch.as_tensor(answers[o]) for o in self.compiled.outputs]


class TorchScript:
    """A frozen module, whose operators oneDNN joins where that is asked for. The first calls are
    slow: the probe makes them."""

    name, package = "TorchScript", "torch"

    @staticmethod
    def version():
        return torch.__version__

    @staticmethod
    def load(path, options, threads, device):
        if options.get("onednn"):
            torch.jit.enable_onednn_fusion(True)
        module = torch.jit.load(path, map_location=device).eval()
        if hasattr(module, "training"):
            module = torch.jit.freeze(module)
        return _flat(module)


class AotInductor:
    name, package = "AOTInductor", "torch"

    @staticmethod
    def version():
        return torch.__version__

    @staticmethod
    def load(path, options, threads, device):
        index = device.index or 0 if device.type == "cuda" else -1
        run = _flat(torch._inductor.aoti_load_package(path, device_index=index))
        # Its code reads memory in the order that it was compiled for, whatever the strides say.
        return lambda tensors: run([t.contiguous() for t in tensors])


def _flat(module):
    def run(tensors):
        # Not inference_mode(): handlers may go on with the answer in place.
        with torch.no_grad():
            answer = module(*tensors)
        return list(answer) if isinstance(answer, (tuple, list)) else [answer]
    return run


def load_tensorrt():
    """Makes torch know the operators of modules that Torch-TensorRT has compiled."""
    found = importlib.util.find_spec("torch_tensorrt")
    if not found or not found.submodule_search_locations:
        raise Unavailable("torch_tensorrt is not installed: pip install torch-tensorrt")
    folder = found.submodule_search_locations[0]
    for library in glob.glob(os.path.join(folder, "lib", "libtorchtrt_runtime.so*")):
        torch.ops.load_library(library)


class TensorRt(TorchScript):
    name, package = "Torch-TensorRT", "torch-tensorrt"

    @staticmethod
    def version():
        return _version("torch-tensorrt")

    @staticmethod
    def load(path, options, threads, device):
        load_tensorrt()
        return _flat(torch.jit.load(path, map_location=device).eval())


RUNTIMES = {"onnx": Onnx, "openvino": OpenVino, "torchscript": TorchScript,
            "aotinductor": AotInductor, "tensorrt": TensorRt}
