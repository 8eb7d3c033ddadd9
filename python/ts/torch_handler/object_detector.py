# SPDX-License-Identifier: Apache-2.0
"""Default handler `object_detector`: an image to the boxes of the objects on it."""

import importlib.util

from ts.torch_handler import transforms
from ts.torch_handler.vision_handler import VisionHandler
from ts.utils.util import map_class_to_label


class ObjectDetector(VisionHandler):
    image_processing = transforms.Compose([transforms.ToTensor()])
    threshold = 0.5

    def initialize(self, context):
        # Detection models in TorchScript use operators that torchvision brings.
        if importlib.util.find_spec("torchvision"):
            importlib.import_module("torchvision")
        super().initialize(context)

    def _objects(self, found):
        """{label: box, "score": score} for each object with a score that is high enough."""
        keep = found["scores"] >= self.threshold
        objects = []
        for number, box, score in zip(*(found[key][keep].tolist()
                                        for key in ("labels", "boxes", "scores"))):
            named = map_class_to_label([[box]], self.mapping, [[number]])[0]
            named["score"] = score
            objects.append(named)
        return objects

    def postprocess(self, data):
        return [self._objects(found) for found in data]
