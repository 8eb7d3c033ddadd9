# SPDX-License-Identifier: Apache-2.0
"""Archives to optimize, and the command."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("SCONCE_BIN_DIR", REPOSITORY / "build" / "bin"))
PATIENCE = 240

# Eager code that a compiler leaves behind: whatever it becomes is faster.
SLOW = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, x):
        for _ in range(300000):
            pass
        return self.layer(x)
"""

OWN_HANDLER = """
import torch
from ts.torch_handler.base_handler import BaseHandler

class Handler(BaseHandler):
    def preprocess(self, data):
        return torch.tensor([(row.get("data") or row.get("body"))["x"] for row in data],
                            dtype=torch.float32)

    def postprocess(self, output):
        return [{"best": int(row.argmax()), "scores": row.tolist()} for row in output]
"""


class Workshop:
    def __init__(self, folder):
        self.folder = folder
        (folder / "tmp").mkdir()
        self.environment = {**os.environ, "TMPDIR": str(folder / "tmp")}

    def model(self, model=SLOW, handler=OWN_HANDLER, name="net"):
        """A model folder; its weights are the module's own."""
        place = self.folder / name
        (place / "MAR-INF").mkdir(parents=True)
        (place / "net.py").write_text(model)
        (place / "handler.py").write_text(handler)
        (place / "MAR-INF" / "MANIFEST.json").write_text(json.dumps({"runtime": "python", "model": {
            "modelName": name, "modelVersion": "1.0", "handler": "handler.py",
            "modelFile": "net.py"}}))
        return place

    def samples(self, *documents):
        place = self.folder / "samples"
        place.mkdir(exist_ok=True)
        for i, document in enumerate(documents):
            (place / ("%d.json" % i)).write_text(json.dumps(document))
        return place

    def command(self, *arguments):
        return [str(BIN / "sconce"), "optimize", "--python", sys.executable, *map(str, arguments)]

    def run(self, *arguments):
        return subprocess.run(self.command(*arguments), cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=PATIENCE)

    def left_behind(self):
        """What is in the folder for temporary files, and what a run has written."""
        temporary = {p.name for p in (self.folder / "tmp").iterdir()} - {".ses"}   # ONNX Runtime's
        return sorted(temporary) + sorted(
            p.name for p in self.folder.iterdir() if p.suffix in (".mar", ".html", ".part"))

    def processes(self):
        """Those that a run has started and that are there."""
        mark = ("TMPDIR=%s\0" % (self.folder / "tmp")).encode()
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(entry.name)
        return found


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path)


assert torch.__version__    # a test of this folder without torch is a mistake of who runs it
