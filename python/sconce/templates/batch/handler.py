# SPDX-License-Identifier: Apache-2.0
"""Takes numbers and answers their squares: all requests that wait are computed together."""

from ts.utils.util import PredictionException


class Handler:
    def initialize(self, context):
        """Called once in each worker: load the model here."""
        self.power = context.model_yaml_config["handler"]["power"]

    def compute(self, numbers):
        """All of a batch at once: this is what makes batches worth it."""
        return [number ** self.power for number in numbers]

    def read(self, row):
        value = row.get("body")
        if isinstance(value, (int, float)):
            return value
        try:
            return float(bytes(value or b"").decode())
        except ValueError as e:
            raise PredictionException("send a number", 400) from e

    def handle(self, data, context):
        """`data` has a row for each request of the batch; so has the answer."""
        results = self.compute([self.read(row) for row in data])
        return [{"result": result, "batch": len(data)} for result in results]
