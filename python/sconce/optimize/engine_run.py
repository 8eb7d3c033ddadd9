# SPDX-License-Identifier: Apache-2.0
"""A model that an engine serves without a handler. It is a server that answers for the original,
and for each candidate: what clients get is what is compared."""

import json
import platform
import time

import numpy as np

from sconce.compiled.processor import cpu_name
from sconce.optimize import candidates, pack, samples, tensors
from sconce.optimize.compare import Comparison
from sconce.optimize.failure import Failure, Unsuitable, sentence
from sconce.optimize.measure import LOST
from sconce.optimize.run import Run
from sconce.optimize.server import Server

SUFFIXES = {".onnx": ("onnx", "openvino"), ".pt": ("onnx", "openvino"), ".pt2": ()}
FORMAT = 1
UNKNOWN = 1e308     # of the difference, until it is measured


class EngineRun(Run):
    def __init__(self, options, work, source):
        super().__init__(options, work, source)
        if not source.serialized or not source.serialized.exists():
            raise Failure("%s names no serializedFile, which is what an engine would run"
                          % source.path.name)
        if options["device"] != "cpu":
            raise Failure("--device %s: models without a handler are optimized for processors only"
                          % options["device"])
        if not options["rounds"]:
            raise Failure("--rounds 0: a model without a handler runs in a server only")
        if source.serialized.suffix == ".pt2":
            raise Failure("%s is compiled already, and has no model in it that another engine "
                          "takes: optimize what it was compiled from" % source.serialized.name)
        self.made_up = not options["samples"]
        self.files = samples.find(options["samples"]) if options["samples"] else []

    # ---- the original ----

    def record(self):
        self.progress.step("starting the original")
        server = Server(self.source.name, self.source.dir)
        try:
            self._look(server)
            self._collect()
            self._answer(server)
        except LOST as e:
            raise Failure("the original model does not run: %s" % sentence(e)) from e
        finally:
            server.stop()
        self.job_path = self.job(
            model=str(self.source.serialized), signature=self.signature,
            batches=tensors.stackable(self.signature), calls=self.n_calls)

    def _look(self, server):
        server.scale(1)
        self.signature, self.engine = _told(server)
        tensors.check(self.signature)

    def _collect(self):
        """The samples as tensors, and as bodies."""
        inputs, self.calls, self.bodies = self.signature["inputs"], [], []
        for file in self.files:
            try:
                call, body = self._read(file, inputs)
                self.calls.append(call)
                self.bodies.append(body)
            except (ValueError, KeyError, TypeError) as e:
                self.progress.say("warning: sample left out: %s: %s" % (file.name, sentence(e)))
        if self.files and not self.calls:
            raise Failure("no sample is a request of this model: docs/engines.md has the forms")
        if not self.files:
            self.warn_of_made_up()
            self.calls = [tensors.made([samples.parse_shape(s) for s in self.o["shapes"]], inputs)]
            body, suffix = tensors.write(self.calls[0], inputs)
            self.bodies = [self.work / ("made" + suffix)]
            self.bodies[0].write_bytes(body)

    def _read(self, file, inputs):
        """A sample as tensors, and the file that is its body."""
        if file.suffix != samples.RECORDED:
            return tensors.read(file.read_bytes(), file.suffix == ".json", inputs), file
        call = tensors.of_recorded(*samples.recorded(file), inputs)
        body, suffix = tensors.write(call, inputs)
        place = self.work / (file.name + suffix)
        place.write_bytes(body)
        return call, place

    def _answer(self, server):
        """What the original makes of them, one at a time and stacked."""
        asked, self.calls, self.answers, kept = self.calls, [], [], []
        for call, body in zip(asked, self.bodies):
            why = self._ask(server, call)
            if why:
                self.progress.say("warning: sample left out: %s: %s" % (body.name, why))
            else:
                kept.append(body)
        self.bodies, self.n_calls = kept, len(kept)
        if not kept:
            raise Failure("the original model answers no sample: %s" % why)
        folder = self.work / "calls"
        folder.mkdir()
        for i, call in enumerate(self.calls):
            for j, spec in enumerate(self.signature["inputs"]):
                np.save(folder / ("%d-%d.npy" % (i, j)), call[spec["name"]])
        if tensors.stackable(self.signature):
            for call in list(tensors.stacks(self.calls)):
                self._ask(server, call)

    def _ask(self, server, call):
        """Why it is refused, or None and it is remembered with its answer."""
        try:
            self.answers.append(tensors.ask(server, call, self.signature))
        except Unsuitable as e:
            return str(e)
        self.calls.append(call)
        return None

    # ---- candidates ----

    def kinds(self):
        """What would be the original again is none."""
        config = self.source.config.get("engine")
        precision = config.get("precision", "fp32") if isinstance(config, dict) else "fp32"
        takes = SUFFIXES.get(self.source.serialized.suffix, ("openvino",))
        kinds = [c for c in candidates.CANDIDATES
                 if c.runtime in takes and (candidates.ENGINES[c.runtime], c.precision)
                 != (self.engine["engine"], precision)]
        if not [c for c in kinds if not c.allow or c.allow in self.o["allow"]]:
            raise Failure("%s is served by %s already, which is all that runs it: only --allow %s "
                          "could gain something" % (self.source.serialized.name,
                                                    self.engine["runtime"],
                                                    " or ".join(c.allow for c in kinds)))
        return kinds

    def make(self, row):
        if row["name"] == "original":
            row.update(difference=0.0, agreement=self._compare(self.answers).agreement)
            return
        row.update(self.child.run("engine_build", [self.job_path, row["name"]],
                                  "build-" + row["name"]))
        if row.get("error"):
            return
        try:
            self._try(row, candidates.by_name(row["name"]), row.pop("artifact"))
        except LOST as e:
            row["error"] = sentence(e)

    def _try(self, row, candidate, artifact):
        """Has it served, and compares."""
        folder = self.made(row)
        for kind, named in (("input", self.calls[0]), ("output", self.answers[0])):
            candidates.write_sample(folder, kind,
                                    [named[spec["name"]] for spec in self.signature[kind + "s"]])
        facts = self._facts(candidate, artifact)
        self._write(folder, facts)
        server = Server(self.source.name, pack.model_dir(
            self.source.dir, folder, self.work / "tried" / row["name"]))
        try:
            server.scale(1)
            if server.uses_original():
                raise Unsuitable(server.uses_original())
            found, told = _told(server)
            tensors.check_same(found, self.signature)
            comparison = self._compare(
                [tensors.ask(server, call, self.signature) for call in self.calls])
        finally:
            server.stop()
        facts["difference"] = min(comparison.difference, UNKNOWN)
        facts["made"]["runtime"] = "%s %s" % (told["runtime"], told["runtimeVersion"])
        self._write(folder, facts)
        row.update(difference=comparison.difference, agreement=comparison.agreement,
                   bytes=sum(p.stat().st_size for p in folder.iterdir()))

    def _compare(self, answers):
        comparison = Comparison()
        for found, wanted in zip(answers, self.answers):
            comparison.add([found[o["name"]] for o in self.signature["outputs"]],
                           [wanted[o["name"]] for o in self.signature["outputs"]])
        return comparison

    def _facts(self, candidate, artifact):
        """What src/worker/optimized.c reads, and where it comes from."""
        facts = candidates.engine_facts(candidate)
        own = self.source.config.get("engine")
        if isinstance(own, dict) and "batches" in own:
            facts["config"]["batches"] = own["batches"]
        return {
            **facts, "format": FORMAT, "artifact": artifact, "model": self.source.serialized.name,
            "precision": candidate.precision, "device": "cpu",
            "input_names": [i["name"] for i in self.signature["inputs"]],
            "output_names": [o["name"] for o in self.signature["outputs"]],
            "tolerance": self.o["tolerance"], "difference": UNKNOWN,
            "made": {"sconce": self.o["version"], "machine": platform.machine(), "cpu": cpu_name(),
                     "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())},
            "original": {"archive": self.source.path.name, "sha256": self.source.sha256}}

    @staticmethod
    def _write(folder, facts):
        (folder / "optimized.json").write_text(json.dumps(facts, indent=1))

    def media_type(self, path):
        return tensors.JSON if path.suffix == ".json" else tensors.RAW


def _told(server):
    """(signature, facts of its engine) of a model that is served."""
    described = server.describe()
    return ({k: described.get(k, []) for k in ("inputs", "outputs")}, described["workers"][0])
