# SPDX-License-Identifier: Apache-2.0
"""DenseNetHandler: from tensors saved by torch to one with the model's output for all of them."""

import io
import os
import time

import torch

from ts.torch_handler.base_handler import BaseHandler
from ts.utils.util import list_classes_from_module  # noqa: F401  (may be imported from here)


def _tensor(row):
    """Only tensors: what else a pickle could hold may run code, and clients send this."""
    return torch.load(io.BytesIO(row.get("data") or row.get("body")), weights_only=True)


class DenseNetHandler(BaseHandler):
    def initialize(self, context):
        model = context.manifest["model"]
        path = os.path.join(context.system_properties.get("model_dir"), model["serializedFile"])
        if not os.path.isfile(path):
            raise RuntimeError("the archive lacks %s, the weights of its model"
                               % model["serializedFile"])
        super().initialize(context)

    def handle(self, data, context):
        """The answer is one tensor, so that a batch must be one request."""
        began = time.perf_counter()
        self.context = context
        output = self.inference(torch.stack([_tensor(row) for row in data]))
        context.metrics.add_time("HandlerTime", round(1000 * (time.perf_counter() - began), 2))
        return [output]
