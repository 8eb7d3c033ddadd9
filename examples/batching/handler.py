# SPDX-License-Identifier: Apache-2.0
"""A handwritten digit in, which one it is out; requests that wait go through the model together.

    {"pixels": [0, 0, 5, 13, ...]}    # 8 rows of 8, from 0 to 16
"""

from pathlib import Path

import joblib
import numpy

PIXELS = 64


class Handler:
    def initialize(self, context):
        self.model = joblib.load(Path(context.system_properties["model_dir"]) / "digits.joblib")

    def handle(self, data, context):
        """`data` has a row for each request of the batch; so has the answer."""
        table = numpy.zeros((len(data), PIXELS))
        refused = {}
        for i, request in enumerate(data):
            try:
                table[i] = self.pixels(request.get("body"))
            except ValueError as e:
                context.set_response_status(400, idx=i)    # this request's, not its neighbours'
                refused[i] = {"code": 400, "message": str(e)}
        answers = self.model.predict_proba(table)    # one call, however many requests
        return [refused.get(i) or {"digit": int(row.argmax()), "probability": round(row.max(), 3),
                                   "batch": len(data)}
                for i, row in enumerate(answers)]

    def pixels(self, body):
        pixels = body.get("pixels") if isinstance(body, dict) else None
        if not isinstance(pixels, list) or len(pixels) != PIXELS or not all(
                type(pixel) in (int, float) and 0 <= pixel <= 16 for pixel in pixels):
            raise ValueError('send {"pixels": [...]}, 64 numbers from 0 to 16, as application/json')
        return pixels
