# SPDX-License-Identifier: Apache-2.0
"""Takes rows of a table as JSON and answers a prediction for each.

    {"rows": [{"age": 41, "income": 52000}, ...]}
"""

from ts.utils.util import PredictionException


class Handler:
    def initialize(self, context):
        """Called once in each worker: load the model here."""
        model = context.model_yaml_config["handler"]
        self.weights, self.bias = model["weights"], model["bias"]

    def score(self, row):
        row = row if isinstance(row, dict) else {}
        missing = sorted(n for n in self.weights if not isinstance(row.get(n), (int, float)))
        if missing:
            raise PredictionException("a row has no number for %s" % ", ".join(missing), 400)
        return self.bias + sum(weight * row[name] for name, weight in self.weights.items())

    def predict(self, request):
        if not isinstance(request, dict) or not isinstance(request.get("rows"), list):
            raise PredictionException('send {"rows": [{...}, ...]} as application/json', 400)
        return {"predictions": [self.score(row) for row in request["rows"]]}

    def handle(self, data, context):
        """`data` has an entry for each request of the batch; so has the answer."""
        return [self.predict(entry.get("body")) for entry in data]
