# SPDX-License-Identifier: Apache-2.0
"""Builds model archives from the files in handlers/ or from text."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

HANDLERS = Path(__file__).resolve().parent / "handlers"


def manifest(name, handler, version="1.0", **model):
    members = {"modelName": name, "handler": handler, "modelVersion": version, **model}
    return json.dumps({"createdOn": "01/01/2026 00:00:00", "runtime": "python",
                       "model": {k: v for k, v in members.items() if v is not None},
                       "archiverVersion": "0.12.0"})


def contents(name, handler, version="1.0", config=None, files=None, entry=None, **model):
    """The files of an archive as {path: bytes}. `handler`: a file of handlers/, or source text."""
    inline = "\n" in handler
    file = f"{name}_handler.py" if inline else handler
    source = handler if inline else (HANDLERS / handler).read_text()
    out = {file: source.encode()}
    if config is not None:
        model["configFile"] = "model-config.yaml"
        out["model-config.yaml"] = config.encode()
    for path, data in (files or {}).items():
        out[path] = data if isinstance(data, bytes) else data.encode()
    out["MAR-INF/MANIFEST.json"] = manifest(name, entry or file, version, **model).encode()
    return out


def make_mar(folder, name, handler, file=None, **options):
    """A .mar in `folder`; returns its path. Options as for contents()."""
    path = Path(folder) / (file or f"{name}.mar")
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for inner, data in contents(name, handler, **options).items():
            z.writestr(inner, data)
    return path


def make_tar(folder, name, handler, file=None, prefix=True, **options):
    path = Path(folder) / (file or f"{name}.tar.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as t:
        for inner, data in contents(name, handler, **options).items():
            info = tarfile.TarInfo(f"{name}/{inner}" if prefix else inner)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return path


def make_folder(folder, name, handler, inside="", **options):
    root = Path(folder) / name
    for inner, data in contents(name, handler, **options).items():
        path = root / inside / inner
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root
