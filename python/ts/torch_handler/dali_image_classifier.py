# SPDX-License-Identifier: Apache-2.0
"""Default handler `dali_image_classifier`: image_classifier with images decoded by DALI."""

from ts.torch_handler.dali_handler import DALIHandler
from ts.torch_handler.image_classifier import ImageClassifier


class DALIImageClassifier(DALIHandler, ImageClassifier):
    pass
