# SPDX-License-Identifier: Apache-2.0
"""Helpers that handlers import from here. The texts of errors and warnings are TorchServe's."""

import enum
import json
import os
import re

from ts.utils.packages import require

ENTITY = "&(?:[a-z0-9]+|#[0-9]{1,6}|#x[0-9a-f]{1,6});"
CLEANUP_REGEX = re.compile("<.*?>|" + ENTITY)


def _warn(text):
    import logging

    logging.getLogger(__name__).warning("%s", text)


class PT2Backend(str, enum.Enum):
    """Backends of torch.compile that a model's YAML file may name."""

    EAGER = "eager"
    AOT_EAGER = "aot_eager"
    INDUCTOR = "inductor"
    NVFUSER = "nvfuser"
    AOT_NVFUSER = "aot_nvfuser"
    AOT_CUDAGRAPHS = "aot_cudagraphs"
    OFI = "ofi"
    FX2TRT = "fx2trt"
    ONNXRT = "onnxrt"
    IPEX = "ipex"
    TORCHXLA_TRACE_ONCE = "torchxla_trace_once"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"
    HPU_BACKEND = "hpu_backend"


class PredictionException(Exception):
    """Raise it to answer with a message and status of your own."""

    def __init__(self, message, error_code=500):
        super().__init__(message)
        self.message = message
        self.error_code = error_code

    def __str__(self):
        return "%s : %s" % (self.message, self.error_code)


def list_classes_from_module(module, parent_class=None):
    """Classes that `module` itself defines, by name; optionally only those derived from
    `parent_class`."""
    classes = [c for _, c in sorted(vars(module).items())
               if isinstance(c, type) and c.__module__ == module.__name__]
    if parent_class is not None:
        classes = [c for c in classes if issubclass(c, parent_class)]
    return classes


def check_valid_pt2_backend(backend):
    """Whether torch.compile is to be tried with it."""
    if backend in [known.value for known in PT2Backend]:
        return True
    _warn("%s is not a supported backend" % (backend,))
    return False


def get_yaml_config(yaml_file_path):
    yaml = require("yaml", "a model's YAML file")

    with open(yaml_file_path, encoding="utf-8") as f:
        return yaml.safe_load(f)


def deprecated(version, replacement="", klass=PendingDeprecationWarning):
    """A decorator: calls warn that the function goes away in `version`."""
    def decorate(func):
        import functools
        import warnings

        @functools.wraps(func)
        def warn_and_call(*args, **kwargs):
            warnings.warn("%s is deprecated in %s and moved to %s"
                          % (func.__name__, version, replacement), klass, stacklevel=2)
            return func(*args, **kwargs)

        return warn_and_call

    return decorate


def load_label_mapping(mapping_file_path):
    """The contents of index_to_name.json, or None (with a warning) where there is none."""
    if not os.path.isfile(mapping_file_path):
        _warn("%r is missing. Inference output will not include class name."
              % (mapping_file_path,))
        return None
    with open(mapping_file_path) as f:
        mapping = json.load(f)
    if not isinstance(mapping, dict):
        raise Exception('index->name JSON mapping should be in "class": "label" format.')
    # The format of older object detection examples.
    names = mapping.get("object_type_names")
    if isinstance(names, list):
        return {str(i): name for i, name in enumerate(names)}
    for key, value in mapping.items():
        if isinstance(value, list):
            value = value[-1]
        if not isinstance(value, str):
            raise Exception("labels in index->name mapping must be either str or List[str]")
        mapping[key] = value
    return mapping


def map_class_to_label(probs, mapping=None, lbl_classes=None):
    """Dicts of label → probability, in the order given; class numbers where there is no mapping."""
    if not isinstance(probs, list):
        raise Exception("Convert classes to list before doing mapping")
    if mapping is not None and not isinstance(mapping, dict):
        raise Exception("Mapping must be a dict")
    if lbl_classes is None:
        lbl_classes = [list(range(len(row))) for row in probs]
    label = (lambda c: mapping[str(c)]) if mapping is not None else str
    return [{label(c): p for c, p in zip(classes, row)}
            for classes, row in zip(lbl_classes, probs)]
