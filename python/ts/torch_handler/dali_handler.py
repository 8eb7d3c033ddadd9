# SPDX-License-Identifier: Apache-2.0
"""The base of handlers whose images are decoded by DALI, on the GPU."""

import torch

from ts.handler_utils.preprocess.dali import get_dali_pipeline
from ts.torch_handler.vision_handler import VisionHandler
from ts.utils.packages import require


class DALIHandler(VisionHandler):
    def initialize(self, context):
        super().initialize(context)
        self.pipeline = get_dali_pipeline(context)

    def preprocess(self, data):
        numpy = require("numpy", "a handler with DALI")
        images = [row.get("data") or row.get("body") for row in data]
        source = [numpy.frombuffer(image, dtype=numpy.uint8)
                  if isinstance(image, (bytearray, bytes)) else image for image in images]
        decoded = self.pipeline.run(source=source)[0]
        tensors = [torch.tensor(decoded.at(i)) for i in range(len(decoded))]
        return torch.stack(tensors).to(self.device)
