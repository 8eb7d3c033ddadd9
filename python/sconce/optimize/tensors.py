# SPDX-License-Identifier: Apache-2.0
"""What engines are sent and what they answer, as numpy's arrays: docs/engines.md has the forms."""

import io
import json

import numpy as np

from sconce.optimize.failure import Failure, Unsuitable

TYPES = {"BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32,
         "UINT64": np.uint64, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32,
         "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
NPY = b"\x93NUMPY"
JSON, RAW, NUMPY = "application/json", "application/octet-stream", "application/x-npy"


def check(signature):
    """Of what another engine can be made: everything is said, and is a number."""
    for spec in signature["inputs"] + signature["outputs"]:
        if spec["datatype"] not in TYPES and spec["datatype"] != "ANY":
            raise Failure("%s is %s, which no candidate takes" % (spec["name"], spec["datatype"]))
    for spec in signature["inputs"]:
        if spec["datatype"] == "ANY" or "shape" not in spec:
            raise Failure("the model does not say which type and shape %s has: model-config.yaml "
                          "does, as in engine: {inputs: [{name: %s, datatype: FP32, shape: [-1, "
                          "4]}]}" % (spec["name"], spec["name"]))


def _fit(array, spec):
    """A leading dimension of 1 may be missing."""
    array = np.ascontiguousarray(array, dtype=TYPES[spec["datatype"]])
    if array.ndim == len(spec["shape"]) - 1:
        array = array[None]
    if array.ndim != len(spec["shape"]) or any(
            w >= 0 and w != s for s, w in zip(array.shape, spec["shape"])):
        raise ValueError("%s has the shape %s, not %s"
                         % (spec["name"], list(array.shape), spec["shape"]))
    return array


def _raw(content, spec):
    shape = list(spec["shape"])
    if shape.count(-1) > 1:
        raise ValueError("raw bytes do not say which shape %s has: .npy does" % spec["name"])
    return np.frombuffer(content, dtype=TYPES[spec["datatype"]]).reshape(shape)


def _by_name(document, inputs):
    if isinstance(document, dict):
        if isinstance(document.get("inputs"), list) and document["inputs"] and all(
                isinstance(i, dict) and "data" in i for i in document["inputs"]):
            return {i["name"]: np.array(i["data"]).reshape(i["shape"]) for i in document["inputs"]}
        if "instances" in document:
            rows = document["instances"]
            if rows and isinstance(rows[0], dict):
                return {k: [row[k] for row in rows] for k in rows[0]}
            return {inputs[0]["name"]: rows}
        if "inputs" in document and "inputs" not in {i["name"] for i in inputs}:
            document = document["inputs"]
    return document if isinstance(document, dict) else {inputs[0]["name"]: document}


def read(content, is_json, inputs):
    """The body of a request → {name: array}. Raises ValueError with a sentence."""
    if not content:
        raise ValueError("it is empty")
    if content.startswith(NPY):
        named = {inputs[0]["name"]: np.load(io.BytesIO(content), allow_pickle=False)}
    elif is_json or content.lstrip()[:1] in (b"[", b"{"):
        named = _by_name(json.loads(content), inputs)
    else:
        named = {inputs[0]["name"]: _raw(content, inputs[0])}
    return _fit_all(named, inputs)


def of_recorded(args, named, inputs):
    """The same of a recorded call."""
    if len(args) > len(inputs):
        raise ValueError("it has %d arrays, and the model %d inputs" % (len(args), len(inputs)))
    return _fit_all({**{i["name"]: a for i, a in zip(inputs, args)}, **named}, inputs)


def _fit_all(named, inputs):
    missing = [i["name"] for i in inputs if i["name"] not in named]
    if missing:
        raise ValueError("it has no input %s" % missing[0])
    return {i["name"]: _fit(named[i["name"]], i) for i in inputs}


def _npy(array):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _json(named, inputs):
    return json.dumps({"inputs": [
        {"name": i["name"], "datatype": i["datatype"], "shape": list(named[i["name"]].shape),
         "data": named[i["name"]].ravel().tolist()} for i in inputs]}).encode()


def write(named, inputs):
    """(body, suffix of a file with it) of a request with these arrays."""
    if len(inputs) == 1:
        return _npy(named[inputs[0]["name"]]), ".npy"
    return _json(named, inputs), ".json"


def made(shapes, inputs):
    """Of random numbers. `shapes`: (sizes, type) of each input as they were given, or none: then
    what may have any size has one."""
    if shapes and len(shapes) != len(inputs):
        raise Failure("--shape: the model has %d inputs (%s): say one shape for each, in this order"
                      % (len(inputs), ", ".join(i["name"] for i in inputs)))
    chance, named = np.random.default_rng(0), {}
    for i, spec in enumerate(inputs):
        if not shapes and -1 in spec["shape"][1:]:
            raise Failure("%s may have any size (%s), so only you know what it is sent: --samples "
                          "names a folder of request bodies, --shape the sizes"
                          % (spec["name"], spec["shape"]))
        sizes = shapes[i][0] if shapes else [1 if s < 0 else s for s in spec["shape"]]
        kind = TYPES[spec["datatype"]]
        values = (chance.standard_normal(sizes) if np.issubdtype(kind, np.floating)
                  else chance.integers(0, 2, sizes))
        try:
            named[spec["name"]] = _fit(values, spec)
        except ValueError as e:
            raise Failure("--shape: %s" % e) from None
    return named


def ask(server, named, signature):
    """The answers of a model that is served: {name: array}, in the order of its outputs."""
    inputs, outputs = signature["inputs"], signature["outputs"]
    if len(inputs) == len(outputs) == 1:
        answer = server.predict(_npy(named[inputs[0]["name"]]), RAW, NUMPY)
        return {outputs[0]["name"]: np.load(io.BytesIO(answer), allow_pickle=False)}
    answered = json.loads(server.predict(_json(named, inputs), JSON, JSON))["outputs"]
    return {o["name"]: np.array(o["data"], dtype=TYPES[o["datatype"]]).reshape(o["shape"])
            for o in answered}


def stackable(signature):
    return all(i["shape"] and i["shape"][0] == -1 for i in signature["inputs"])


def stacks(calls, sizes=(2, 3)):
    """Some calls as one, where their sizes allow that."""
    for n in sizes:
        group = [calls[i % len(calls)] for i in range(n)]
        try:
            yield {name: np.concatenate([c[name] for c in group]) for name in group[0]}
        except ValueError:
            return


def check_same(found, wanted):
    """Raises Unsuitable where a candidate would not do for clients what the original does."""
    for what in ("inputs", "outputs"):
        names = [s["name"] for s in wanted[what]]
        if [s["name"] for s in found[what]] != names:
            raise Unsuitable("its %s would be %s, where the original's are %s"
                             % (what, ", ".join(s["name"] for s in found[what]), ", ".join(names)))
        for f, w in zip(found[what], wanted[what]):
            if f["datatype"] not in (w["datatype"], "ANY") and w["datatype"] != "ANY":
                raise Unsuitable("%s would be %s, where the original's is %s"
                                 % (f["name"], f["datatype"], w["datatype"]))
            if what == "inputs" and "shape" in f and (len(f["shape"]) != len(w["shape"]) or any(
                    a not in (-1, b) for a, b in zip(f["shape"], w["shape"]))):
                raise Unsuitable("%s could only have the shape %s, where the original's is %s"
                                 % (f["name"], f["shape"], w["shape"]))
