# SPDX-License-Identifier: Apache-2.0
"""A stateful handler: adds up the numbers of each sequence, in this process only.

A body is a number, or JSON {"add": n, "fifo": …} to wait at a FIFO (../gate.py).
"""

import json
import os

from gate_at import enter


class Ledger:
    def __init__(self):
        self.sums = {}
        self.over = []

    def initialize(self, context):
        context.sequence_ended = self.over.append

    def handle(self, data, context):
        return [self.one(i, json.loads(bytes(row["body"])), len(data), context)
                for i, row in enumerate(data)]

    def one(self, i, wish, rows, context):
        ident = context.get_sequence_id(i)
        if isinstance(wish, dict):
            enter(wish)
            wish = wish["add"]
        if context.get_request_header(i, context.header_key_sequence_start) == "true":
            self.sums[ident] = 0
        self.sums[ident] = self.sums.get(ident, 0) + wish
        if wish == 99:
            context.set_response_header(i, context.header_key_sequence_end, ident)
        context.set_response_header(i, context.header_key_sequence_id, ident)
        return {"sum": self.sums[ident], "pid": os.getpid(), "rows": rows, "over": self.over}
