# SPDX-License-Identifier: Apache-2.0
"""Writes a text word by word; each word is sent as soon as it is there, as server-sent events.

    {"prompt": "The", "words": 30, "seed": 1}    # or the same names as a form
"""

import json
import random
import threading
from pathlib import Path

from ts.handler_utils.utils import send_intermediate_predict_response
from ts.utils.util import PredictionException


def event(data):
    return f"data: {json.dumps(data)}\n\n"


class Handler:
    def initialize(self, context):
        folder = Path(context.system_properties["model_dir"])
        self.follows = json.loads((folder / "words.json").read_text())
        settings = context.model_yaml_config["handler"]
        self.most, self.pause = settings["words"], settings["pause_ms"] / 1000

    def handle(self, data, context):
        """One request at a time: batchSize is 1."""
        prompt, most, seed = self.asked(data[0])
        context.set_response_content_type(0, "text/event-stream")
        for word in self.write(prompt, most, random.Random(seed)):
            if context.is_cancelled():
                return [""]    # nobody reads on
            send_intermediate_predict_response([event({"text": word + " "})], context.request_ids,
                                               "", 200, context)
        return [event({"end": True})]

    def asked(self, row):
        """The words of the prompt, how many to write, and the seed of their choice."""
        wish = row.get("body", row)    # JSON, or the fields of a form
        if not isinstance(wish, dict) or "prompt" not in wish:
            raise PredictionException("send a prompt, as JSON or as a form", 400)
        try:
            words, seed = (int(text_of(wish.get(name, usual)))
                           for name, usual in (("words", self.most), ("seed", 1)))
        except ValueError as e:
            raise PredictionException(f"words and seed are whole numbers: {e}", 400) from e
        return text_of(wish["prompt"]).split(), min(words, self.most), seed

    def write(self, words, most, chance):
        yield from words
        first, second = ["", "", *words][-2:]
        for _ in range(most):
            following = self.follows.get(f"{first} {second}") or self.follows[" "]
            first, second = second, chance.choices([*following], following.values())[0]
            if not second:
                return
            # A large model would compute for so long.
            threading.Event().wait(self.pause)
            yield second


def text_of(value):
    return bytes(value).decode("utf-8", "replace") if isinstance(value, bytearray) else str(value)
