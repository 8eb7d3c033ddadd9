# SPDX-License-Identifier: Apache-2.0
"""Rows of a table in, a class and its probabilities out.

    {"rows": [{"alcohol": 13.2, "malic_acid": 1.8, ...}, ...]}
"""

from pathlib import Path

import joblib
import numpy
from ts.utils.util import PredictionException


def is_number(value):
    return type(value) in (int, float) and abs(value) < 1e9    # nor NaN


class Handler:
    def initialize(self, context):
        saved = joblib.load(Path(context.system_properties["model_dir"]) / "wine.joblib")
        self.model, self.columns, self.classes = (
            saved[name] for name in ("model", "columns", "classes"))

    def handle(self, data, context):
        """One request at a time (batchSize is 1), so what is raised is the answer to that one."""
        return [self.predict(request.get("body")) for request in data]

    def predict(self, body):
        rows = body.get("rows") if isinstance(body, dict) else None
        if not isinstance(rows, list) or not rows:
            raise PredictionException('send {"rows": [{...}, ...]} as application/json', 400)
        table = numpy.array([self.numbers(i, row) for i, row in enumerate(rows)])
        return {"predictions": [self.answer(p) for p in self.model.predict_proba(table).tolist()]}

    def numbers(self, i, row):
        """A row's values in the order of the columns."""
        row = row if isinstance(row, dict) else {}
        wrong = [name for name in self.columns if not is_number(row.get(name))]
        if wrong:
            raise PredictionException(f"row {i}: no number for {', '.join(wrong)}", 400)
        return [float(row[name]) for name in self.columns]

    def answer(self, probabilities):
        named = dict(zip(self.classes, (round(p, 3) for p in probabilities)))
        return {"class": max(named, key=named.get), "probabilities": named}
