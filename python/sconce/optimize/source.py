# SPDX-License-Identifier: Apache-2.0
"""What is to be optimized: an archive or a model folder, unpacked as the server would."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from sconce.in_process import find_sconce
from sconce.optimize.failure import Failure

OPTIMIZED = "optimized"
BARE = {".onnx": "onnx", ".xml": "openvino", ".tflite": "openvino"}


def _hash(path):
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        with open(file, "rb") as f:
            for block in iter(lambda: f.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


class Source:
    """`dir`: the unpacked model, ours to read; `manifest`: as `sconce unpack` tells it."""

    def __init__(self, target, work):
        self.path = Path(target).resolve()
        if not self.path.exists():
            raise Failure("%s: there is no such file" % target)
        if self.path.suffix in BARE:
            raise Failure("%s is a bare model, which an engine runs as it is; pack it with a "
                          "handler (sconce archive) to optimize it" % self.path.name)
        self.sha256 = _hash(self.path)
        self.dir, self.manifest = self._unpack(work)
        self._forget_earlier()
        self.name = self.manifest["model_name"]
        if self.manifest.get("runtime") == "native":
            raise Failure("%s is served by an engine, without a handler: nothing is left to compile"
                          % self.name)

    def _unpack(self, work):
        into = work / "source"
        done = subprocess.run([find_sconce(), "unpack", "--source", str(self.path), "--into",
                               str(into)], stdout=subprocess.PIPE)
        try:
            read = json.loads(done.stdout)
        except ValueError:
            raise Failure("%s cannot be read" % self.path.name) from None
        if not read.get("ok"):
            raise Failure("%s: %s" % (self.path.name, read.get("message", "cannot be read")))
        folder = Path(read["dir"])
        if into.resolve() not in folder.resolve().parents and folder.resolve() != into.resolve():
            shutil.copytree(folder, into, dirs_exist_ok=True)   # a folder is served where it lies
            folder = into
        return folder, read["manifest"]

    def _forget_earlier(self):
        """An archive that was optimized before is optimized from its original."""
        shutil.rmtree(self.dir / OPTIMIZED, ignore_errors=True)

    @property
    def model_json(self):
        return json.loads(self.manifest["manifest_json"])["model"]

    @property
    def serialized(self):
        name = self.model_json.get("serializedFile") or ""
        return self.dir / os.path.basename(name) if name else None
