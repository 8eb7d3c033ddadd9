# SPDX-License-Identifier: Apache-2.0
"""Envelope `kservev2`: the Open Inference Protocol; only for batches of one request."""

import json

import numpy

from ts.torch_handler.request_envelope.base import BaseEnvelope, contents

_DATATYPES = {"bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64",
              "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
              "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
              "object": "BYTES"}


def _datatype(array):
    if array.dtype.kind == "U":
        return "BYTES"
    try:
        return _DATATYPES[array.dtype.name]
    except KeyError:
        raise TypeError("the protocol has no datatype for %s" % array.dtype) from None


def _data(tensor):
    """Values nested as the shape says; of BYTES the first element alone."""
    if tensor["datatype"] == "BYTES":
        return tensor["data"][0]
    return numpy.array(tensor["data"]).reshape(tuple(tensor["shape"])).tolist()


def _output(name, item):
    flat = numpy.array(item).flatten()
    return {"name": name, "datatype": _datatype(flat), "data": flat.tolist(),
            "shape": list(flat.shape)}


def _ident(context):
    """As the answer's `x-request-id` has it."""
    return context.names().get(0) or context.get_request_id(0)


class KServev2Envelope(BaseEnvelope):
    def parse_input(self, data):
        document = contents(data[0])
        if isinstance(document, (bytes, bytearray)):
            document = json.loads(document)
        inputs = document["inputs"]
        for tensor in inputs:
            tensor["data"] = _data(tensor)
        # Handlers may look at these two.
        self.context.input_names = [tensor["name"] for tensor in inputs]
        self.context.input_request_id = None
        ident = document.get("id")
        if ident and ident.strip():
            self.context.input_request_id = ident
        return inputs

    def format_output(self, data):
        context = self.context
        model = context.manifest.get("model") or {}
        names = context.input_names
        outputs = [_output(names[i], item) for i, item in enumerate(data)]
        return [{"id": context.input_request_id or _ident(context),
                 "model_name": model.get("modelName"),
                 "model_version": model.get("modelVersion"),
                 "outputs": outputs}]
