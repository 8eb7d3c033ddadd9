# SPDX-License-Identifier: Apache-2.0
"""What is to be optimized: an archive, a model folder or a bare model, unpacked as the server
would."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from sconce.in_process import find_sconce
from sconce.optimize import bare
from sconce.optimize.failure import Failure

OPTIMIZED = "optimized"


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
        self.sha256 = _hash(self.path)
        self.dir, self.manifest = self._unpack(work)
        self._check_folder()
        self.name = self.manifest["model_name"]
        # Served by an engine, without a handler.
        self.native = self.manifest.get("runtime") == "native"

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
        folder, manifest = Path(read["dir"]), read["manifest"]
        if into.resolve() in folder.resolve().parents or folder.resolve() == into.resolve():
            return folder, manifest
        # It is served where it lies.
        if manifest.get("runtime") == "native" and not (folder / "MAR-INF").is_dir():
            bare.gather(self.path, into, manifest["model_name"])
        else:
            shutil.copytree(folder, into, dirs_exist_ok=True)
        return into, manifest

    def _check_folder(self):
        """An archive that was optimized before is optimized from its original. A folder of that
        name that somebody else has made may be anything."""
        folder = self.dir / OPTIMIZED
        if not folder.exists() and not folder.is_symlink():
            return
        if not (folder / "optimized.json").is_file():
            raise Failure("%s has something of its own called `optimized`, which is where the "
                          "compiled model belongs: call it otherwise" % self.path.name)
        shutil.rmtree(folder)

    @property
    def model_json(self):
        return json.loads(self.manifest["manifest_json"])["model"]

    @property
    def config(self):
        """model-config.yaml."""
        return json.loads(self.manifest.get("config_json") or "{}")

    @property
    def serialized(self):
        name = self.model_json.get("serializedFile") or ""
        return self.dir / os.path.basename(name) if name else None
