# SPDX-License-Identifier: Apache-2.0
"""The base of handlers whose input are images."""

import base64
import io

import torch
from PIL import Image

from sconce.image import recognise
from ts.handler_utils.timer import timed
from ts.torch_handler.base_handler import BaseHandler
from ts.torch_handler.explain import attribution


class VisionHandler(BaseHandler):
    """Derived classes say in `image_processing` how a Pillow image becomes a tensor."""

    _ig = None
    _native_images = True

    def initialize(self, context):
        super().initialize(context)
        if not context.system_properties.get("limit_max_image_pixels"):
            Image.MAX_IMAGE_PIXELS = None
        config = getattr(self, "model_yaml_config", None) or {}
        self._native_images = config.get("native") != "never"

    @property
    def ig(self):
        """Captum's integrated gradients of the model."""
        if self._ig is None:
            self._ig = attribution("IntegratedGradients")(self.model)
        return self._ig

    @ig.setter
    def ig(self, ig):
        self._ig = ig

    def _fused(self, image):
        """`image_processing` in one pass, where each of its steps is known; else None."""
        return recognise.fused(self.image_processing, image)

    def _tensor(self, row):
        """An encoded image, possibly in base64, or numbers."""
        image = row.get("data") or row.get("body")
        if isinstance(image, str):
            image = base64.b64decode(image)
        if isinstance(image, (bytearray, bytes)):
            tensor = self._fused(image) if self._native_images else None
            if tensor is not None:
                return tensor
            return self.image_processing(Image.open(io.BytesIO(image)))
        if isinstance(image, int):
            # Torch would take it for a size: any amount of memory, with whatever has been there.
            raise TypeError("an image is the bytes of a file, or numbers for each of its pixels")
        return torch.FloatTensor(image)

    @timed
    def preprocess(self, data):
        return torch.stack([self._tensor(row) for row in data]).to(self.device)

    def get_insights(self, tensor_data, _, target=0):
        return self.ig.attribute(tensor_data, target=target, n_steps=15).tolist()
