# SPDX-License-Identifier: Apache-2.0
"""Tells from its words whether a text is friendly, and measures what it sees."""

import json
import re
from pathlib import Path

from ts.metrics.metric_type_enum import MetricTypes


class Handler:
    def initialize(self, context):
        folder = Path(context.system_properties["model_dir"])
        self.weights = json.loads((folder / "weights.json").read_text())
        # Declared in metrics.yaml, with these types.
        metrics = context.metrics
        self.texts = metrics.get_metric("Texts", MetricTypes.COUNTER)
        self.unknown = metrics.get_metric("UnknownWords", MetricTypes.GAUGE)
        self.length = metrics.get_metric("WordsPerText", MetricTypes.HISTOGRAM)

    def handle(self, data, context):
        return [self.judge(request.get("body") or b"") for request in data]

    def judge(self, body):
        text = body if isinstance(body, str) else bytes(body).decode("utf-8", "replace")
        words = re.findall(r"\w+", text.lower())
        score = sum(self.weights.get(word, 0) for word in words)
        mood = "friendly" if score > 0 else "unfriendly" if score < 0 else "neutral"
        unknown = sum(word not in self.weights for word in words)
        self.texts.add_or_update(1, [mood])
        self.unknown.add_or_update(round(100 * unknown / max(len(words), 1)), [])
        self.length.add_or_update(len(words), [])
        return {"mood": mood, "score": score}
