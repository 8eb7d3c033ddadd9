# SPDX-License-Identifier: Apache-2.0
"""A model that a handler calls: what it is called with is recorded, and candidates are compared
on that."""

import os

from sconce.optimize import candidates, samples
from sconce.optimize.failure import Failure
from sconce.optimize.run import Run


def _check_device(device):
    if device == "cuda":
        import torch
        if not torch.version.cuda:
            raise Failure("--device cuda: PyTorch %s is for processors only: install one that is "
                          "built for CUDA, or name a Python that has one (--python)"
                          % torch.__version__)
        if not torch.cuda.is_available():
            raise Failure("--device cuda: PyTorch %s sees no GPU here: nvidia-smi says whether the "
                          "driver does" % torch.__version__)


class HandlerRun(Run):
    def __init__(self, options, work, source):
        _check_device(options["device"])
        super().__init__(options, work, source)
        self.made_up, self.bodies = self._bodies()

    def _bodies(self):
        if self.o["samples"]:
            files = samples.find(self.o["samples"])
            self.recordings = [p for p in files if p.suffix == samples.RECORDED]
            return False, [p for p in files if p.suffix != samples.RECORDED]
        made = samples.make(self.source.manifest["handler"], self.work / "samples")
        for shape in self.o["shapes"]:
            samples.parse_shape(shape)
        if not made and not self.o["shapes"]:
            raise Failure("%s has a handler of its own, so only you know what it is sent: "
                          "--samples names a folder of request bodies, --shape a tensor of the "
                          "model" % self.source.name)
        self.warn_of_made_up()
        return True, [] if self.o["shapes"] else made

    def record(self):
        self.progress.step("recording what the handler calls its model with")
        self.job_path = self.job(
            shapes=self.o["shapes"], samples=[os.path.abspath(p) for p in self.bodies],
            recordings=[os.path.abspath(p) for p in self.recordings],
            recorded=str(self.work / "recorded.pt"), facts=str(self.work / "facts.json"))
        facts = self.child.run("record", [self.job_path], "facts")
        if facts.get("error"):
            raise Failure(facts["error"])
        for line in facts["refused"]:
            self.progress.say("warning: sample left out: " + line)
        self.n_calls = facts["calls"]

    def kinds(self):
        return candidates.CANDIDATES

    def make(self, row):
        row.update(self.child.run("build", [self.job_path, row["name"]], "build-" + row["name"]))

    def media_type(self, path):
        return samples.media_type(path)
