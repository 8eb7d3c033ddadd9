# SPDX-License-Identifier: Apache-2.0
"""The base of handlers: loads a model of any of the usual formats and runs it."""

import importlib
import importlib.util
import logging
import os
import time

import torch

from ts.handler_utils.timer import timed
from ts.torch_handler import model_files
from ts.utils.util import check_valid_pt2_backend, list_classes_from_module, load_label_mapping

logger = logging.getLogger(__name__)

PROFILER_AVAILABLE = PT2_AVAILABLE = PT230_AVAILABLE = True
_PACKAGES = {"XLA_AVAILABLE": "torch_xla", "IPEX_AVAILABLE": "intel_extension_for_pytorch",
             "ONNX_AVAILABLE": "onnxruntime"}
_PROFILES = "/tmp/pytorch_profiler"


def __getattr__(name):
    """Whether a package is there, for handlers that ask; it is not imported for that. And torch's
    profiler, which some import from here."""
    if name in ("ProfilerActivity", "profile", "record_function"):
        return getattr(importlib.import_module("torch.profiler"), name)
    if name not in _PACKAGES:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    return importlib.util.find_spec(_PACKAGES[name]) is not None


def setup_ort_session(model_pt_path, map_location):
    return model_files.onnx_session(model_pt_path, map_location)


def _accelerator(gpu):
    """(what torch.load maps to, device): of the GPU given to this worker, or of the processor."""
    if gpu is not None and torch.cuda.is_available():
        return "cuda", torch.device("cuda", int(gpu))
    wants_xpu = gpu is not None and os.environ.get("TS_IPEX_GPU_ENABLE") == "true"
    if wants_xpu and torch.xpu.is_available():
        return "xpu", torch.device("xpu", int(gpu))
    if gpu is not None and torch.backends.mps.is_available():
        return "mps", torch.device("mps")
    if importlib.util.find_spec("torch_xla"):
        return None, importlib.import_module("torch_xla.core.xla_model").xla_device()
    return "cpu", torch.device("cpu")


class BaseHandler:
    def __init__(self):
        self.model = None
        self.mapping = None
        self.device = None
        self.initialized = False
        self.context = None
        self.model_pt_path = None
        self.manifest = None
        self.map_location = None
        self.explain = False
        self.target = 0
        self.profiler_args = {}

    def initialize(self, context):
        """Loads the model that the archive has, and the names of its classes."""
        properties = context.system_properties
        self.model_yaml_config = getattr(context, "model_yaml_config", None) or {}
        self.manifest = context.manifest
        self.map_location, self.device = _accelerator(properties.get("gpu_id"))
        model_files.use_tensor_cores(self.device)
        model_dir = properties.get("model_dir")
        model = self.manifest["model"]
        self.model_pt_path = None
        if model.get("serializedFile"):
            self.model_pt_path = os.path.join(model_dir, model["serializedFile"])
        self.model = self._load(model_dir, model.get("modelFile") or "")
        self.mapping = load_label_mapping(os.path.join(model_dir, "index_to_name.json"))
        self.initialized = True

    def _load(self, model_dir, model_file):
        def original():
            return self._optimize(self._load_original(model_dir, model_file))

        return model_files.optimized_model(model_dir, self.device, self.model_yaml_config,
                                           original) or original()

    def _load_original(self, model_dir, model_file):
        path = self.model_pt_path or ""
        if model_file:
            model = self._load_pickled_model(model_dir, model_file, self.model_pt_path)
            model.to(self.device)
            model.eval()
            return model
        if path.endswith(".pt"):
            model = self._load_torchscript_model(path)
            model.eval()
            return model
        if path.endswith(".onnx"):
            return model_files.onnx_model(setup_ort_session, path, self.map_location, self.device)
        if path.endswith(model_files.OPENVINO):
            return model_files.openvino_model(path, self.device)
        if path.endswith(".pt2") or path.endswith(".so") and self._use_torch_export_aot_compile():
            if self.device.type == "cuda":
                torch.cuda.set_device(self.device)
            return self._load_torch_export_aot_compile(path)
        raise RuntimeError(model_files.advice(path))

    def _optimize(self, model):
        """torch.compile where the model's YAML file asks for it; that it fails is no failure."""
        options = model_files.compile_options(self.model_yaml_config.get("pt2"))
        if options is not None and check_valid_pt2_backend(options.get("backend", "inductor")):
            try:
                if options.get("backend") == "openvino":
                    importlib.import_module("openvino.torch")
                model = torch.compile(model, **options)
                logger.info("Compiled model with %s",
                            ", ".join("%s %s" % option for option in options.items()))
            except Exception as e:
                print("The model is used as it is: torch.compile(%s) failed: %s" % (options, e))
        elif os.environ.get("TS_IPEX_ENABLE") == "true":
            return model_files.with_ipex(model, self.device)
        return model

    def _use_torch_export_aot_compile(self):
        pt2 = self.model_yaml_config.get("pt2")
        export = pt2.get("export") if isinstance(pt2, dict) else None
        return isinstance(export, dict) and export.get("aot_compile") is True

    def _load_torch_export_aot_compile(self, model_so_path):
        return model_files.exported_model(model_so_path, self.map_location, self.device)

    def _load_torchscript_model(self, model_pt_path):
        if importlib.util.find_spec("torch_tensorrt"):
            importlib.import_module("torch_tensorrt")   # operators that the model may use
        return torch.jit.load(model_pt_path, map_location=self.device)

    def _load_pickled_model(self, model_dir, model_file, model_pt_path):
        """The one class in `model_file`, with the weights of `model_pt_path` if there are some."""
        if not os.path.isfile(os.path.join(model_dir, model_file)):
            raise RuntimeError("the archive lacks %s, which its manifest calls the model's source"
                               % model_file)
        module = importlib.import_module(model_file.split(".")[0])
        classes = list_classes_from_module(module)
        if len(classes) != 1:
            raise ValueError("%s must define one class, the model, but has %s"
                             % (model_file, ", ".join(c.__name__ for c in classes) or "none"))
        model = classes[0]()
        if model_pt_path:
            where = self.device if self.map_location else None
            model.load_state_dict(torch.load(model_pt_path, map_location=where))
        return model

    @timed
    def preprocess(self, data):
        return torch.as_tensor(data, device=self.device)

    @timed
    def inference(self, data, *args, **kwargs):
        with torch.inference_mode():
            return self.model(data.to(self.device), *args, **kwargs)

    @timed
    def postprocess(self, data):
        return data.tolist()

    def handle(self, data, context):
        """From the fields of the requests to a list with an answer for each of them."""
        began = time.perf_counter()
        self.context = context
        if os.environ.get("ENABLE_TORCH_PROFILER"):
            self.manifest = self.manifest or context.manifest
            output, _ = self._infer_with_profiler(data=data)
        elif self._is_describe():
            output = [self.describe_handle()]
        else:
            prepared = self.preprocess(data)
            if self._is_explain():
                output = self.explain_handle(prepared, data)
            else:
                output = self.postprocess(self.inference(prepared))
        milliseconds = round(1000 * (time.perf_counter() - began), 2)
        context.metrics.add_time("HandlerTime", milliseconds, None, "ms")
        return output

    def _infer_with_profiler(self, data):
        """(output, profile): the steps under torch's profiler, which writes a trace of them."""
        from torch.profiler import (ProfilerActivity, profile, record_function,
                                    tensorboard_trace_handler)

        arguments = self.profiler_args
        if not arguments:
            arguments["activities"] = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
            arguments["record_shapes"] = True
        if "on_trace_ready" not in arguments:
            folder = os.path.join(_PROFILES, self.manifest["model"].get("modelName", ""))
            arguments["on_trace_ready"] = tensorboard_trace_handler(folder)
        with profile(**arguments) as prof:
            with record_function("preprocess"):
                output = self.preprocess(data)
            if self._is_explain():
                with record_function("explain"):
                    output = self.explain_handle(output, data)
            else:
                with record_function("inference"):
                    output = self.inference(output)
                with record_function("postprocess"):
                    output = self.postprocess(output)
        print(prof.key_averages().table(sort_by="cpu_time_total", row_limit=10))
        return output, prof

    def explain_handle(self, data_preprocess, raw_data):
        """Why the model says what it says of the first request."""
        row = raw_data[0]
        inputs, target = None, 0
        if isinstance(row, dict):
            inputs = row.get("data") or row.get("body")
            target = row.get("target") or 0
        return self.get_insights(data_preprocess, inputs, target)

    def get_insights(self, tensor_data, _, target=0):
        raise NotImplementedError("%s does not explain its predictions" % type(self).__name__)

    def _is_explain(self):
        if not self.context or self.context.get_request_header(0, "explain") != "True":
            return False
        self.explain = True
        return True

    def _is_describe(self):
        return bool(self.context) and self.context.get_request_header(0, "describe") == "True"

    def describe_handle(self):
        """What "customized" adds to the description of the model."""

    def get_device(self):
        return self.device
