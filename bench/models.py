# SPDX-License-Identifier: Apache-2.0
"""Makes the archives that every server is given, unchanged."""

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


def manifest(name, handler, serialized=None):
    model = {"modelName": name, "modelVersion": "1.0", "handler": handler}
    if serialized:
        model["serializedFile"] = serialized
    return json.dumps({"createdOn": "01/01/2025 00:00:00", "runtime": "python", "model": model,
                       "archiverVersion": "0.12.0"})


def pack(path, handler, serialized=None, files=()):
    """A .mar: the manifest and the files side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = HANDLERS / handler
    contents = [own] if own.exists() else []
    contents += [serialized] if serialized else []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("MAR-INF/MANIFEST.json", manifest(
            path.stem, handler, serialized.name if serialized else None))
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


def image_store(folder, assets, handler="image_classifier"):
    """The classifier of the demonstration, by TorchServe's own handler or another."""
    pack(folder / "image.mar", handler, assets.model, [assets.names])
    return folder


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


def body_file(size):
    """A body of `size` bytes that no text decoder takes for text."""
    path = CACHE / f"body-{size}"
    if not path.exists() or path.stat().st_size != size:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(i * 37 % 251 for i in range(4096)) * (size // 4096)
                         + bytes(size % 4096))
    return path
