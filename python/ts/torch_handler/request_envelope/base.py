# SPDX-License-Identifier: Apache-2.0
"""What every envelope does: unwraps requests, calls the handler, wraps answers."""

import abc


class BaseEnvelope(abc.ABC):
    def __init__(self, handle_fn):
        self._handle_fn = handle_fn
        self.context = None

    def handle(self, data, context):
        self.context = context
        answers = self._handle_fn(self.parse_input(data) if data else data, context)
        return self.format_output(answers) if answers else answers

    def _is_explain(self):
        return bool(self.context) and self.context.get_request_header(0, "explain") == "True"

    @abc.abstractmethod
    def parse_input(self, data):
        """From the rows of the requests to the rows of the handler."""

    @abc.abstractmethod
    def format_output(self, data):
        """From what the handler returns to an answer for each request."""


def contents(row):
    """What the request of this row carries."""
    return row.get("data") or row.get("body")
