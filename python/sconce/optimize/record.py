# SPDX-License-Identifier: Apache-2.0
"""The process that runs the archive's own handler on the samples, and records what its model is
called with and what it returns.

    python -m sconce.optimize.record JOB.json RESULT.json
"""

import contextlib
import json
import sys
from pathlib import Path

import torch

from sconce.compiled import tree
from sconce.compiled.difference import difference
from sconce.in_process import Model
from sconce.optimize import samples
from sconce.optimize.child import tell
from sconce.optimize.failure import Failure, sentence

CALLS_MAX = 64
BYTES_MAX = 1 << 30


class Recorder:
    """Stands where the model was; everything but calls goes through to it."""

    def __init__(self, model):
        self._model, self._calls, self._bytes = model, [], 0

    def __call__(self, *args, **kwargs):
        # Before the model works on them in place.
        inputs, skeleton = tree.flatten([args, kwargs])
        inputs = [t.detach().cpu().clone() for t in inputs]
        with torch.no_grad():
            output = self._model(*args, **kwargs)
        self._remember(inputs, skeleton, output)
        return output

    def __getattr__(self, name):
        return getattr(self._model, name)

    def _remember(self, inputs, inputs_skeleton, output):
        outputs, outputs_skeleton = tree.flatten(output)
        self._bytes += sum(t.nbytes for t in inputs + outputs)
        if len(self._calls) >= CALLS_MAX or self._bytes > BYTES_MAX:
            return
        self._calls.append({"inputs": inputs,
                            "outputs": [t.detach().cpu().clone() for t in outputs],
                            "skeletons": [inputs_skeleton, outputs_skeleton]})


def handler_of(model):
    """The object that has the model; an envelope has it inside."""
    handler = model.handler
    inner = getattr(handler, "_handle_fn", None)
    return getattr(inner, "__self__", handler)


def original_of(handler):
    model = getattr(handler, "model", None)
    if not callable(model):
        raise Failure("the handler has no self.model that can be called: what it loads by itself "
                      "cannot be exchanged; docs/optimize.md says which line to change")
    return model


def _once(calls, which, what):
    kinds = {json.dumps(c["skeletons"][which], sort_keys=True) for c in calls}
    if len(kinds) > 1:
        raise Failure("the handler %s its model in %d different ways for these samples, of which "
                      "one artefact can answer one: optimize with samples of one kind"
                      % (what, len(kinds)))
    return calls[0]["skeletons"][which]


def _varying(calls, which):
    """For each tensor its shape, with None for what differs among the samples."""
    shapes = []
    for tensors in zip(*(c[which] for c in calls)):
        if len({t.dim() for t in tensors}) > 1:
            raise Failure("a tensor of the model has a different number of dimensions in different "
                          "samples: optimize with samples of one kind")
        shapes.append([s[0] if len(set(s)) == 1 else None
                       for s in zip(*(tuple(t.shape) for t in tensors))])
    return shapes


def stacked(tensors, n):
    return [torch.cat([t] * n) for t in tensors]


def _batches(original, call):
    """Whether examples can be stacked: two of one give its outputs twice."""
    inputs, outputs = call["inputs"], call["outputs"]
    if not inputs or any(not t.dim() for t in inputs + outputs):
        return False
    if len({t.shape[0] for t in inputs}) > 1:
        return False
    try:
        args, kwargs = tree.build(call["skeletons"][0], stacked(inputs, 2))
        with torch.no_grad():
            found, returned = tree.flatten(original(*args, **kwargs))
    except Exception:
        return False
    # Numbers among the outputs may tell of the batch, too.
    return returned == call["skeletons"][1] and max(
        map(difference, found, stacked(outputs, 2))) < 1e-3


def _facts(original, calls):
    inputs, outputs = _once(calls, 0, "calls"), _once(calls, 1, "gets answers from")
    if not calls[0]["inputs"] or not calls[0]["outputs"]:
        raise Failure("the model is called without tensors, or returns none")
    shapes = _varying(calls, "inputs")
    batches = _batches(original, calls[0])
    if batches:
        shapes = [[None] + s[1:] for s in shapes]
    return {"inputs": inputs, "outputs": outputs, "batches": batches,
            "specs": [{"name": name, "dtype": str(t.dtype).replace("torch.", ""), "shape": shape}
                      for name, t, shape in zip(_names(inputs), calls[0]["inputs"], shapes)]}


def _names(skeleton):
    args, kwargs = skeleton["list"]
    return ["input_" + n.replace(".", "_") for n in tree.paths(args)] + tree.paths(kwargs)


def _run_samples(model, files, told):
    for file in files:
        try:
            answer = model.predict(file.read_bytes(), samples.media_type(file))
        except Exception as e:
            told.append("%s: %s" % (file.name, sentence(e)))
            continue
        if answer.status >= 300:
            told.append("%s: the handler answered %d" % (file.name, answer.status))


def _run_recorded(recorder, files, device, told):
    for file in files:
        try:
            args, named = samples.recorded(file)
            recorder(*(torch.from_numpy(a).to(device) for a in args),
                     **{name: torch.from_numpy(a).to(device) for name, a in named.items()})
        except Exception as e:
            told.append("%s: %s" % (file.name, sentence(e)))


def load(job):
    try:
        return Model(job["source"], gpu_id=0 if job["device"] == "cuda" else None)
    except Exception as e:
        raise Failure("the handler cannot be loaded: %s" % sentence(e)) from e


@contextlib.contextmanager
def _asked():
    """A list that has something when a handler asked for a compiled model."""
    from ts.torch_handler import model_files

    before, asked = model_files.optimized_model, []
    model_files.optimized_model = lambda *args: asked.append(True)
    try:
        yield asked
    finally:
        model_files.optimized_model = before


def record(job):
    with _asked() as asked:
        model = load(job)
    try:
        handler = handler_of(model)
        original = original_of(handler)
        if not asked:
            raise Failure("the handler loads self.model by itself, so a compiled one would not be "
                          "used; docs/optimize.md says which line to change")
        told = []
        recorder = Recorder(original)
        if job["shapes"]:
            for _ in range(4):
                recorder(*samples.tensors(job["shapes"]))
        else:
            _run_recorded(recorder, [Path(p) for p in job["recordings"]],
                          getattr(handler, "device", "cpu"), told)
            handler.model = recorder
            _run_samples(model, [Path(p) for p in job["samples"]], told)
        if not recorder._calls:
            raise Failure("no sample led to a call of the model%s"
                          % (" (%s)" % told[0] if told else ""))
        facts = _facts(original, recorder._calls)
        torch.save([{k: c[k] for k in ("inputs", "outputs")} for c in recorder._calls],
                   job["recorded"])
        return {**facts, "calls": len(recorder._calls), "refused": told}
    finally:
        model.close()


def main(job_path, result_path):
    job = json.loads(Path(job_path).read_text())
    tell(result_path, lambda: record(job), "the samples cannot be recorded: ")


if __name__ == "__main__":
    main(*sys.argv[1:])
