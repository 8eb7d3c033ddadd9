# SPDX-License-Identifier: Apache-2.0
"""Lets torchvision be imported beside a torch that its compiled operators were not built for.

Loaded by a .pth file at every start of the environment's Python, so it costs nothing until somebody
imports torchvision: only then are the operators declared that its Python part refers to.
"""

import sys

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class DeclareFirst:
    """Finds nothing; is asked before anybody else."""

    def __init__(self):
        self.library = None

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision" and self.library is None:
            import torch
            self.library = torch.library.Library("torchvision", "FRAGMENT")
            for operator in ("nms", "qnms"):
                self.library.define(operator + SCHEMA)


sys.meta_path.insert(0, DeclareFirst())
