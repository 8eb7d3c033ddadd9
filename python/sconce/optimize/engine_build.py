# SPDX-License-Identifier: Apache-2.0
"""The process that makes one candidate of a model that an engine serves. The figures come from
servers, so nothing is run here but compilers.

    python -m sconce.optimize.engine_build JOB.json CANDIDATE RESULT.json
"""

import json
import sys
from pathlib import Path

import numpy as np

from sconce.optimize import candidates
from sconce.optimize.child import tell


class Subject:
    """What a candidate is made of, as candidates.py wants it."""

    def __init__(self, job):
        signature, path = job["signature"], Path(job["model"])
        self.input_names = [i["name"] for i in signature["inputs"]]
        self.output_names = [o["name"] for o in signature["outputs"]]
        self.made_up = job["made_up"]
        self.batches = job["batches"]
        self.specs = [{**i, "shape": [None if s < 0 else s for s in i["shape"]]}
                      for i in signature["inputs"]]
        self.calls = [{"inputs": [call[n] for n in self.input_names]}
                      for call in _calls(job, self.input_names)]
        self.onnx_path = path if path.suffix == ".onnx" else None
        self.module = None
        if path.suffix == ".pt":
            self._load_torchscript(path)
        self.model_path = None if self.onnx_path or self.module else path
        if path.name == "saved_model.pb":
            self.model_path = path.parent

    def _load_torchscript(self, path):
        import torch

        from sconce.optimize.build import Flat

        self.device, self.scripted, self.plain = torch.device("cpu"), True, True
        self.module = self.flat = torch.jit.load(str(path), map_location="cpu").eval()
        inputs = [torch.from_numpy(a.copy()) for a in self.calls[0]["inputs"]]
        self.example = [torch.cat([t, t]) if self.batches else t for t in inputs]
        with torch.no_grad():
            answer = self.module(*inputs)
        # The exporter takes tensors and tuples of them.
        if not isinstance(answer, (torch.Tensor, tuple)):
            self.plain = False
            skeleton = {"list": [{"tuple": [{"tensor": i} for i in range(len(inputs))]},
                                 {"dict": {}}]}
            self.module = self.flat = Flat(self.module, skeleton).eval()


def _calls(job, names):
    for i in range(job["calls"]):
        yield {name: np.load(Path(job["work"]) / "calls" / ("%d-%d.npy" % (i, j)))
               for j, name in enumerate(names)}


def main(job_path, name, result_path):
    job = json.loads(Path(job_path).read_text())
    folder = Path(job["work"]) / "candidates" / name / "optimized"
    folder.mkdir(parents=True)
    tell(result_path, lambda: {"artifact": candidates.make(candidates.by_name(name), Subject(job),
                                                           folder)})


if __name__ == "__main__":
    main(*sys.argv[1:])
