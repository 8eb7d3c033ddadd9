# SPDX-License-Identifier: Apache-2.0
"""A handler of somebody's own, with transforms of torchvision."""

from torchvision import transforms

from ts.torch_handler.vision_handler import VisionHandler
from ts.utils.util import map_class_to_label


class Compose(VisionHandler):
    image_processing = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])

    def postprocess(self, output):
        best = output.softmax(1).topk(5)
        return map_class_to_label(best.values.tolist(), self.mapping, best.indices.tolist())
