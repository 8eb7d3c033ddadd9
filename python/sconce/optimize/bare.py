# SPDX-License-Identifier: Apache-2.0
"""Bare models, as a folder that can be served and packed."""

import json
import shutil

from sconce.optimize.failure import Failure

CONFIG = "model-config.yaml"
BESIDE = {".xml": ".bin", ".pdmodel": ".pdiparams"}
EXTERNAL = b"\x0a\x08location"      # a key of TensorProto.external_data


def _has_external(path):
    """Whether the file names others; read in pieces, for it may be large."""
    with open(path, "rb") as f:
        before = b""
        for block in iter(lambda: f.read(1 << 22), b""):
            if EXTERNAL in before + block:
                return True
            before = block[-len(EXTERNAL):]
    return False


def _external(path):
    """The files in which an ONNX model has its weights."""
    if not _has_external(path):
        return []
    try:
        import onnx
    except ImportError:
        raise Failure("%s has its weights in other files, and to know which takes the package "
                      "onnx: python -m pip install onnx" % path.name) from None
    model = onnx.load(str(path), load_external_data=False)
    names = {entry.value for tensor in onnx.external_data_helper._get_all_tensors(model)
             for entry in tensor.external_data if entry.key == "location"}
    folder = path.parent.resolve()
    for name in names:
        if folder not in (folder / name).resolve().parents:
            raise Failure("%s has weights outside its folder: %s" % (path.name, name))
    return [folder / name for name in sorted(names)]


def _files(path):
    if path.suffix == ".onnx":
        return [path, *_external(path)]
    second = path.with_suffix(BESIDE.get(path.suffix, path.suffix))
    return [path, second] if second != path and second.exists() else [path]


def gather(path, into, name):
    """A folder `into` with the model at `path` and a manifest."""
    if path.is_dir():
        shutil.copytree(path, into)
    else:
        for file in _files(path):
            place = into / file.relative_to(path.parent)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
        config = path.with_name(path.name + ".yaml")
        if config.exists():
            shutil.copyfile(config, into / CONFIG)
    model = {"modelName": name, "modelVersion": "1.0",
             "serializedFile": "saved_model.pb" if path.is_dir() else path.name}
    if (into / CONFIG).exists():
        model["configFile"] = CONFIG
    (into / "MAR-INF").mkdir()
    (into / "MAR-INF" / "MANIFEST.json").write_text(
        json.dumps({"runtime": "native", "model": model}, indent=1))
