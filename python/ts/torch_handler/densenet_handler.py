# SPDX-License-Identifier: Apache-2.0
"""DenseNetHandler: from tensors saved by torch to one with the model's output for all of them."""

import io
import os
import time
import zipfile

import torch

from ts.torch_handler.base_handler import BaseHandler
from ts.utils.util import list_classes_from_module  # noqa: F401  (may be imported from here)


def _tensor(row):
    """Only tensors, with all that they are of: what else a pickle could hold may run code, and a
    few bytes of one may stand for any amount of memory. Clients send this."""
    body = row.get("data") or row.get("body")
    file = io.BytesIO(body)
    if zipfile.is_zipfile(file) and any(
            member.compress_type for member in zipfile.ZipFile(file).infolist()):
        raise ValueError("the tensor is compressed, which torch.save() never does")
    file.seek(0)
    tensor = torch.load(file, weights_only=True)
    if tensor.numel() * tensor.element_size() > len(body):
        raise ValueError("the tensor is larger than the request that it came with")
    return tensor


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
