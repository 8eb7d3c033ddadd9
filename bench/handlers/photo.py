# SPDX-License-Identifier: Apache-2.0
"""A handler of somebody's own: Pillow and NumPy before the model, its own words after it."""

import io

import numpy as np
import torch
from PIL import Image

from ts.torch_handler.base_handler import BaseHandler

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


class Photo(BaseHandler):
    def pixels(self, body):
        image = Image.open(io.BytesIO(body)).convert("RGB").resize((224, 224), Image.BILINEAR)
        return (np.asarray(image, dtype=np.float32) / 255 - MEAN) / DEVIATION

    def preprocess(self, data):
        rows = [self.pixels(row.get("body") or row.get("data")) for row in data]
        return torch.from_numpy(np.ascontiguousarray(np.stack(rows).transpose(0, 3, 1, 2)))

    def postprocess(self, output):
        best = output.softmax(1).topk(5)
        return [{self.mapping[str(i)]: round(p, 4) for p, i in zip(values, classes)}
                for values, classes in zip(best.values.tolist(), best.indices.tolist())]
