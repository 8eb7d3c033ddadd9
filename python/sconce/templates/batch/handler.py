# SPDX-License-Identifier: Apache-2.0
"""Takes numbers and answers their squares: all requests that wait are computed together."""


class Handler:
    def initialize(self, context):
        """Called once in each worker: load the model here."""
        self.power = context.model_yaml_config["handler"]["power"]

    def compute(self, numbers):
        """All of a batch at once: this is what makes batches worth it."""
        return [number ** self.power for number in numbers]

    def read(self, row):
        value = row.get("body")
        if isinstance(value, bytearray):    # any content type but JSON and text
            value = value.decode()
        if not isinstance(value, (str, int, float)) or not abs(float(value)) < 1e100:
            raise ValueError("no number that can be computed with")
        return float(value)

    def handle(self, data, context):
        """`data` has a row for each request of the batch; so has the answer."""
        numbers, answers = {}, {}
        for i, row in enumerate(data):
            try:
                numbers[i] = self.read(row)
            except (ValueError, OverflowError):
                # Of this request only: what is raised here is the answer to the whole batch.
                context.set_response_status(400, idx=i)
                answers[i] = {"code": 400, "message": "send a number below 1e100"}
        for i, result in zip(numbers, self.compute(list(numbers.values()))):
            answers[i] = {"result": result, "batch": len(data)}
        return [answers[i] for i in range(len(data))]
