# SPDX-License-Identifier: Apache-2.0
"""Takes a text and answers it word by word, as a language model would."""

from ts.handler_utils.utils import send_intermediate_predict_response


class Handler:
    def initialize(self, context):
        """Called once in each worker: load the model here."""
        self.most = context.model_yaml_config["handler"]["words"]

    def generate(self, text):
        yield from text.upper().split()[:self.most]

    def handle(self, data, context):
        """One request at a time: batchSize is 1."""
        row = data[0]
        text = row.get("body") or row.get("data") or b""
        if not isinstance(text, str):
            text = bytes(text).decode("utf-8", "replace")
        for word in self.generate(text):
            send_intermediate_predict_response([word + " "], context.request_ids, "", 200, context)
        return ["."]
