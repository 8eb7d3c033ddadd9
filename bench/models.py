# SPDX-License-Identifier: Apache-2.0
"""Makes the archives that every server is given, unchanged."""

import array
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"
BIN = Path(os.environ.get("SCONCE_BIN_DIR", ROOT / "build" / "bin"))
OPTIMIZE_PYTHON = ROOT / ".venv-optimize" / "bin" / "python"
HANDLERS = Path(__file__).resolve().parent / "handlers"


def manifest(name, handler, serialized=None, configured=False):
    model = {"modelName": name, "modelVersion": "1.0", "handler": handler}
    if configured:
        model["configFile"] = "model-config.yaml"
    if serialized:
        model["serializedFile"] = serialized
    return json.dumps({"createdOn": "01/01/2025 00:00:00", "runtime": "python", "model": model,
                       "archiverVersion": "0.12.0"})


def pack(path, handler, serialized=None, files=(), config=None):
    """A .mar: the manifest and the files side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = HANDLERS / handler
    contents = [own] if own.exists() else []
    contents += [serialized] if serialized else []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("MAR-INF/MANIFEST.json", manifest(
            path.stem, handler, serialized.name if serialized else None, bool(config)))
        if config:
            archive.writestr("model-config.yaml", config)
        for file in [*contents, *files]:
            archive.write(file, Path(file).name)
    return path


def echo_store(folder, names=("echo",)):
    """A model store with echo models."""
    for name in names:
        pack(folder / f"{name}.mar", "echo.py")
    return folder


def image_assets():
    """TorchScript model, class names and photograph of the demonstration."""
    sys.path.insert(0, str(ROOT / "examples" / "image"))
    import make_model
    return make_model.prepare(ROOT / ".cache" / "demo")


def image_store(folder, assets, handler="image_classifier", name="image", config=None):
    """The classifier of the demonstration, by TorchServe's own handler or another."""
    pack(folder / f"{name}.mar", handler, assets.model, [assets.names], config)
    return folder


def large_photo(photo):
    """One of twelve megapixels, of many copies of a photograph side by side."""
    path = CACHE / "large.jpg"
    if not path.exists():
        code = ("import sys; from PIL import Image; p = Image.open(sys.argv[1]); "
                "w, h = map(int, sys.argv[3:]); whole = Image.new('RGB', (w, h))\n"
                "for y in range(0, h, p.height):\n"
                "    for x in range(0, w, p.width): whole.paste(p, (x, y))\n"
                "whole.save(sys.argv[2], quality=90)")
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(ROOT / ".venv-demo" / "bin" / "python"), "-c", code, str(photo),
                        str(path), *map(str, LARGE)], check=True)
    return path


def optimized_store(folder, archive, photo, options):
    """What `sconce optimize` makes of an archive, under the same name. It takes a minute."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [str(BIN / "sconce"), "optimize", str(archive), "--samples", str(photo), "--python",
         str(OPTIMIZE_PYTHON), "--output", str(folder / archive.name), "--rounds", "1", "--json",
         *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    if done.returncode:
        raise RuntimeError(f"sconce optimize ended with {done.returncode}: {done.stdout!r}")
    print(f"    optimized: {json.loads(done.stdout)['chosen']}", file=sys.stderr, flush=True)
    return folder


def native_folder(folder, file, model, config=None):
    """A model that an engine runs; `model` is its contents."""
    (folder / "MAR-INF").mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(model)
    described = {"modelName": folder.name, "modelVersion": "1.0", "serializedFile": file}
    if config:
        described["configFile"] = "model-config.yaml"
        (folder / "model-config.yaml").write_text(config)
    (folder / "MAR-INF" / "MANIFEST.json").write_text(
        json.dumps({"runtime": "native", "model": described}))


def native_echo(store, name):
    """The engine that answers what it is sent, beside what the store has."""
    native_folder(store / name, "model.echo", b"echo")
    return store


CLASSES = """pipeline:
  - from_raw: {shape: [3, 224, 224]}
  - batch
  - infer
  - softmax
  - topk: 5
  - encode_json: {form: records}
"""
# What the handler image_classifier does, but that large photographs are decoded smaller.
SCALED = """pipeline:
  - decode_image: {scaled: true}
  - resize: 256
  - center_crop: 224
  - to_tensor
  - normalize: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
  - batch
  - infer
  - softmax
  - topk: 5
  - labels
  - encode_json: {indent: 2, digits: double}
"""
LARGE = (4000, 3000)


def onnx_store(store):
    """The network of the demonstration in ONNX: from a tensor to five classes."""
    file = store / "model.onnx"
    if not file.exists():
        store.mkdir(parents=True, exist_ok=True)
        packages = subprocess.run(
            [str(OPTIMIZE_PYTHON), "-c", "import onnx, os; print(os.path.dirname("
             "os.path.dirname(onnx.__file__)))"], stdout=subprocess.PIPE, check=True, text=True)
        subprocess.run([str(ROOT / ".venv-demo" / "bin" / "python"),
                        str(ROOT / "tests" / "engines" / "export_efficientnet.py"), str(file),
                        packages.stdout.strip()], check=True, stdout=subprocess.DEVNULL)
    native_folder(store / "classes", "model.onnx", file.read_bytes(), CLASSES)
    return store


def tensor_file():
    """1 × 3 × 224 × 224 float32, between -2 and 2."""
    path = CACHE / "tensor"
    values = array.array("f", (((i * 7919) % 4001) / 1000 - 2 for i in range(3 * 224 * 224)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(values.tobytes())
    return path


def body_file(size):
    """A body of `size` bytes that no text decoder takes for text."""
    path = CACHE / f"body-{size}"
    if not path.exists() or path.stat().st_size != size:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(i * 37 % 251 for i in range(4096)) * (size // 4096)
                         + bytes(size % 4096))
    return path
