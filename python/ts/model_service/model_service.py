# SPDX-License-Identifier: Apache-2.0
"""Bases of handlers from the time before BaseHandler, with a signature file in their archive."""

import ast
import json
import os


class ModelService:
    def __init__(self, model_name=None, model_dir=None, manifest=None, gpu=None):
        self.ctx = None
        self._context = None
        self._signature = None

    def initialize(self, context):
        self._context = context
        path = os.path.join(context.system_properties.get("model_dir"),
                            context.manifest["Model"]["Signature"])
        if not os.path.isfile(path):
            raise ValueError("the archive lacks %s, its signature file" % os.path.basename(path))
        with open(path, encoding="utf-8") as f:
            self._signature = json.load(f)

    def inference(self, data):
        """From the inputs to the outputs."""
        raise NotImplementedError("%s has no inference()" % type(self).__name__)

    def ping(self):
        """How the model is, in the words of the handler."""

    def signature(self):
        return self._signature

    def handle(self, data, context):
        """The input that the signature names, or the body, of the first request."""
        names = (self._signature["inputs"][0]["data_name"], "body", "data")
        inputs = next((data[0][n] for n in names if data[0].get(n) is not None), None)
        if (self._signature["input_type"] == "application/json"
                and isinstance(inputs, (bytes, bytearray))):
            inputs = ast.literal_eval(inputs.decode("utf-8"))
        outputs = self.inference([inputs])
        return outputs if isinstance(outputs, list) else [outputs]


class SingleNodeService(ModelService):
    """inference() in three steps."""

    def inference(self, data):
        return self._postprocess(self._inference(self._preprocess(data)))

    def _inference(self, data):
        return data

    def _preprocess(self, data):
        return data

    def _postprocess(self, data):
        return data
