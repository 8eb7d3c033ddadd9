# SPDX-License-Identifier: Apache-2.0
"""Envelope `json`: TensorFlow Serving's {"instances": […]} and {"predictions": […]}.

The handler sees the instances of all requests as one batch.
"""

import json
from base64 import b64decode

from ts.torch_handler.request_envelope.base import BaseEnvelope, contents


def _binary(value):
    """Decodes what is written {"b64": …}."""
    return b64decode(value["b64"]) if isinstance(value, dict) and list(value) == ["b64"] else value


def _instance(row):
    decoded = _binary(row)
    if isinstance(decoded, dict):
        return {name: _binary(value) for name, value in decoded.items()}
    return decoded


class JSONEnvelope(BaseEnvelope):
    def __init__(self, handle_fn):
        super().__init__(handle_fn)
        self._lengths = []    # instances of each request

    def _instances(self, row):
        rows = (contents(row) or row)["instances"]
        return [_instance(r) for r in rows] if rows and isinstance(rows[0], dict) else rows

    def parse_input(self, data):
        parts = [self._instances(row) for row in data]
        self._lengths = [len(part) for part in parts]
        return [instance for part in parts for instance in part]

    def format_output(self, data):
        # Or one request would be answered with what belongs to another.
        if len(self._lengths) > 1 and len(data) != sum(self._lengths):
            raise ValueError("%d predictions for %d instances of %d requests"
                             % (len(data), sum(self._lengths), len(self._lengths)))
        answers, at = [], 0
        for length in self._lengths:
            answers.append(json.dumps({"predictions": data[at:at + length]}))
            at += length
        return answers
