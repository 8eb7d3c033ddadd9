# SPDX-License-Identifier: Apache-2.0
"""Default handler `image_segmenter`: an image to the class of every pixel."""

import torch

from ts.torch_handler import transforms
from ts.torch_handler.vision_handler import VisionHandler


class ImageSegmenter(VisionHandler):
    image_processing = transforms.imagenet()

    def postprocess(self, data):
        """For every image height × width pairs: the likeliest class, and its probability."""
        best = torch.softmax(data["out"], dim=1).max(dim=1)
        return torch.stack([best.indices.to(best.values.dtype), best.values], dim=3).tolist()
