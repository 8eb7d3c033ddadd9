# SPDX-License-Identifier: Apache-2.0
"""Takes a tensor and answers one: numpy's own format (numpy.save) there and back."""

import io

import numpy
from ts.utils.util import PredictionException


class Handler:
    def initialize(self, context):
        """Called once in each worker: load the model here."""
        self.scale = context.model_yaml_config["handler"]["scale"]

    def infer(self, tensor):
        return tensor * self.scale

    def answer(self, data):
        try:
            tensor = numpy.load(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError, OSError) as e:
            raise PredictionException("this is no tensor: %s" % e, 400) from e
        out = io.BytesIO()
        numpy.save(out, self.infer(tensor))
        return out.getvalue()

    def handle(self, data, context):
        """`data` has a row for each request of the batch; so has the answer."""
        return [self.answer(row.get("body") or row.get("data") or b"") for row in data]
