# SPDX-License-Identifier: Apache-2.0
"""Continuous batching: counts each request down, a piece at a step, in batches that change.

The body: {"from": n}, with "fifo" and "calls" to wait at every step (../gate.py).
"""

import json

from gate_at import enter


class Countdown:
    def __init__(self):
        self.wishes = {}    # request id → what is left of it
        self.gone = []

    def initialize(self, context):
        self.context = context

    def handle(self, data, context):
        if context.get_request_header(0, "describe") == "True":
            return [{"gone": self.gone}]
        ids = [context.get_request_id(i) for i in range(len(data))]
        for ident, row in zip(ids, data):
            if row:
                self.wishes[ident] = json.loads(bytes(row["body"]))
            assert ident in self.wishes, "a request without input that never had any"
        for ident in set(self.wishes) - set(ids):
            self.gone.append(self.wishes.pop(ident).get("tag"))
        for wish in [self.wishes[ident] for ident in ids]:
            if "fifo" in wish:
                enter(wish)
            if wish["from"] == 13:
                raise ValueError("thirteen")
        context.stopping_criteria = {i: self.stop(ident) for i, ident in enumerate(ids)}
        return [self.step(self.wishes[ident], len(ids)) for ident in ids]

    @staticmethod
    def step(wish, rows):
        wish["from"] -= 1
        return f"{wish['from']}/{rows} "

    def stop(self, ident):
        def stopped(output):
            over = self.wishes[ident]["from"] <= 0
            if over:
                del self.wishes[ident]
            return over
        return stopped
