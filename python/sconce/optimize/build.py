# SPDX-License-Identifier: Apache-2.0
"""The process that builds one candidate, compares it with the original, and times it alone.

    python -m sconce.optimize.build JOB.json CANDIDATE RESULT.json
"""

import json
import platform
import sys
import time
from pathlib import Path

import torch

from sconce.compiled import artifact, tree
from sconce.compiled.difference import plain as plain_array
from sconce.compiled.processor import cpu_features, cpu_name
from sconce.compiled.runtimes import RUNTIMES
from sconce.optimize import candidates
from sconce.optimize.child import tell
from sconce.optimize.compare import Comparison
from sconce.optimize.failure import Unsuitable
from sconce.optimize.record import handler_of, load, original_of

TIMED_S = 0.5
ENGINE_TYPES = {"bool": "BOOL", "uint8": "UINT8", "int8": "INT8", "int16": "INT16",
                "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32",
                "float64": "FP64"}


class Flat(torch.nn.Module):
    """The original with tensors in their order, for what knows nothing else."""

    def __init__(self, module, inputs):
        super().__init__()
        self.module, self.inputs = module, inputs

    def forward(self, *tensors):
        args, kwargs = tree.build(self.inputs, tensors)
        return tuple(tree.flatten(self.module(*args, **kwargs))[0])


def numbered(outputs):
    return ["output_%d" % i for i in range(len(tree.paths(outputs)))]


def output_names(outputs, taken):
    """As the engine `torch` names them, by which pipelines know them; else by number."""
    try:
        names = torch_names(outputs)
    except Unsuitable:
        return numbered(outputs)
    return numbered(outputs) if set(names) & set(taken) else names


def torch_names(skeleton, name="output"):
    """What that engine calls the tensors of such an answer."""
    (kind, content), = skeleton.items()
    if kind == "tensor":
        return [name]
    if kind == "value":
        raise Unsuitable("its answer has what is no tensor")
    items = ((k, "%s.%s" % (name, k) if name != "output" else k) for k in content) \
        if kind in ("dict", "named") else ((i, "%s_%d" % (name, i)) for i in range(len(content)))
    return [n for k, path in items for n in torch_names(content[k], path)]


class Subject:
    """What a candidate is made of."""

    def __init__(self, job, facts, handler):
        self.specs, self.batches = facts["specs"], facts["batches"]
        self.device = torch.device(job["device"])
        self.calls = torch.load(job["recorded"], weights_only=True)
        self.made_up = job["made_up"]
        self.input_names = ["input_%d" % i for i in range(len(self.calls[0]["inputs"]))]
        self.output_names = output_names(facts["outputs"], self.input_names)
        self.model_path = None
        model = original_of(handler)
        runner = getattr(model, "_runner", None)
        self.onnx_path = handler.model_pt_path if hasattr(runner, "session") else None
        if self.onnx_path:
            self.input_names = runner.inputs
            self.output_names = [o.name for o in runner.session.get_outputs()]
        if hasattr(runner, "compiled"):
            self.model_path = handler.model_pt_path
            self.input_names = runner.inputs
            self.output_names = [o.get_any_name() for o in runner.compiled.outputs]
        self.module = None if self.onnx_path else model
        self.scripted = isinstance(model, torch.jit.ScriptModule)
        self.plain = facts["plain"]
        self.flat = None if self.onnx_path else (
            model if self.scripted and self.plain else Flat(model, facts["inputs"]).eval())
        self.example = [t.to(self.device).clone(memory_format=torch.contiguous_format)
                        for t in self._example()]

    def _example(self):
        """Two examples where that is a batch: of one, compilers believe that it is always one."""
        inputs = self.calls[0]["inputs"]
        return [torch.cat([t, t]) for t in inputs] if self.batches else inputs


def plain(skeleton):
    """Are these arguments only tensors, by place?"""
    args, kwargs = skeleton["list"]
    return not kwargs["dict"] and all("tensor" in part for part in args["tuple"])


def _facts(job, facts, candidate, name):
    runtime = RUNTIMES[candidate.runtime]
    return {
        "format": artifact.FORMAT, "runtime": candidate.runtime, "options": candidate.options,
        "precision": candidate.precision, "artifact": name, "device": job["device"],
        "inputs": facts["inputs"], "outputs": facts["outputs"], "specs": facts["specs"],
        "rows_max": candidates.TENSORRT_ROWS if candidate.runtime == "tensorrt" else None,
        # Machine code is for the processor that it was made on.
        "cpu_features": sorted(cpu_features()) if candidate.native else [],
        "tolerance": job["tolerance"],
        "made": {"sconce": job["version"], "runtime": "%s %s" % (runtime.name, runtime.version()),
                 "torch": torch.__version__, "python": platform.python_version(),
                 "machine": platform.machine(), "cpu": cpu_name(),
                 "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())},
        "original": {"archive": job["archive"], "sha256": job["sha256"]}}


def _timed(call):
    """Seconds of the fastest of some calls: what else the machine does makes others slower, and
    candidates are timed one after the other."""
    took, end = [], time.monotonic() + TIMED_S
    while len(took) < 3 or time.monotonic() < end and len(took) < 500:
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return min(took)


def _arguments(facts, tensors, device):
    # Copies, for the model may work on them in place.
    return tree.build(facts["inputs"], [t.to(device, copy=True) for t in tensors])


def _stacked_rows(calls, batches, sizes=(2, 3)):
    """Recorded calls, and some of them as one batch."""
    for call in calls:
        yield call["inputs"], call["outputs"]
    if not batches:
        return
    for n in sizes:
        group = [calls[i % len(calls)] for i in range(n)]
        try:
            yield tuple([torch.cat(tensors) for tensors in zip(*(c[key] for c in group))]
                        for key in ("inputs", "outputs"))
        except RuntimeError:    # samples of different sizes do not stack
            return


def _compare(model, facts, subject):
    comparison = Comparison()
    for inputs, wanted in _stacked_rows(subject.calls, facts["batches"]):
        args, kwargs = _arguments(facts, inputs, subject.device)
        with torch.no_grad():
            comparison.add(tree.flatten(model(*args, **kwargs))[0], wanted)
    return comparison


def _seconds(model, facts, subject):
    args, kwargs = _arguments(facts, subject.calls[0]["inputs"], subject.device)

    def call():
        with torch.no_grad():
            model(*args, **kwargs)
    for _ in range(3):
        call()
    return _timed(call)


def _write_probe(folder, call):
    torch.save({"inputs": call["inputs"], "outputs": call["outputs"]}, str(folder / "probe.pt"))


def _torch_facts(facts, candidate, subject):
    """Nobody waits for a compiler where the original is there."""
    whole = candidate.runtime == "torchscript" and subject.scripted and subject.plain
    inputs = [{"name": name, "datatype": ENGINE_TYPES[spec["dtype"]],
               "shape": [-1 if s is None else s for s in spec["shape"]]}
              for name, spec in zip(subject.input_names, facts["specs"])]
    return {"config": {"build": False, "inputs": inputs},
            "output_names": torch_names(facts["outputs"]) if whole
            else numbered(facts["outputs"])}


def _for_engines(described, job, candidate, subject, folder):
    """Where an engine stands in for the handler it may take what was made, too."""
    if candidate.runtime not in candidates.ENGINES:
        return
    try:
        named = {"output_names": subject.output_names, **candidates.engine_facts(candidate)}
        if named["engine"] == "torch":
            named.update(_torch_facts(described, candidate, subject))
    except (KeyError, Unsuitable):      # a type, or an answer, that engines do not know
        return
    described.update(named, model=job["serialized"], input_names=subject.input_names)
    for kind in ("input", "output"):
        candidates.write_sample(folder, kind, map(plain_array, subject.calls[0][kind + "s"]))


def build(job, facts, name):
    folder = Path(job["work"]) / "candidates" / name / "optimized"
    folder.mkdir(parents=True)
    model = load(job)
    try:
        subject = Subject(job, facts, handler_of(model))
        if name == "original":
            original = original_of(handler_of(model))
            comparison = _compare(original, facts, subject)
            seconds = _seconds(original, facts, subject)
        else:
            candidate = candidates.by_name(name)
            written = candidates.make(candidate, subject, folder)
            described = _facts(job, facts, candidate, written)
            compiled = artifact.load(str(folder), described, subject.device)
            comparison = _compare(compiled, facts, subject)
            seconds = _seconds(compiled, facts, subject)
            described["difference"] = comparison.difference
            _for_engines(described, job, candidate, subject, folder)
            (folder / "optimized.json").write_text(json.dumps(described, indent=1))
            _write_probe(folder, subject.calls[0])
    finally:
        model.close()
    return {"difference": comparison.difference, "agreement": comparison.agreement,
            "model_ms": 1e3 * seconds, "bytes": sum(p.stat().st_size for p in folder.iterdir())}


def main(job_path, name, result_path):
    job = json.loads(Path(job_path).read_text())
    facts = json.loads(Path(job["facts"]).read_text())
    facts["plain"] = plain(facts["inputs"])
    tell(result_path, lambda: build(job, facts, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
