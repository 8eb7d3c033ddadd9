# SPDX-License-Identifier: Apache-2.0
"""Default handler `image_classifier`: an image to its likeliest classes."""

import torch

from ts.handler_utils.timer import timed
from ts.torch_handler import transforms
from ts.torch_handler.vision_handler import VisionHandler
from ts.utils.util import map_class_to_label


class ImageClassifier(VisionHandler):
    topk = 5
    image_processing = transforms.imagenet()

    def set_max_result_classes(self, topk):
        self.topk = topk

    def get_max_result_classes(self):
        return self.topk

    @timed
    def postprocess(self, data):
        """For every image a dict of names and probabilities, the likeliest first."""
        wanted = min(self.topk, data.shape[1])    # a model may have fewer classes
        probabilities, classes = torch.topk(torch.softmax(data, dim=1), wanted, dim=1)
        return map_class_to_label(probabilities.tolist(), self.mapping, classes.tolist())
