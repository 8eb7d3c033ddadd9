# SPDX-License-Identifier: Apache-2.0
"""Takes a text and answers how it sounds."""


class Handler:
    def initialize(self, context):
        """Called once in each worker: load the model here."""
        words = context.model_yaml_config["handler"]
        self.good, self.bad = set(words["good"]), set(words["bad"])

    def classify(self, text):
        if not isinstance(text, str):
            text = bytes(text).decode("utf-8", "replace")
        words = text.lower().split()
        score = sum(word in self.good for word in words) - sum(word in self.bad for word in words)
        return {"label": "positive" if score > 0 else "negative" if score < 0 else "neutral",
                "score": score}

    def handle(self, data, context):
        """`data` has a row for each request of the batch; so has the answer."""
        return [self.classify(row.get("body") or row.get("data") or "") for row in data]
