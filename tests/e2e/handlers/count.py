# SPDX-License-Identifier: Apache-2.0
"""A handler class with state, explanations and a description of itself."""

import os


class Counter:
    def __init__(self):
        self.calls = 0
        self.context = None

    def initialize(self, context):
        self.context = context

    def handle(self, data, context):
        if context.get_request_header(0, "describe") == "True":
            return [self.describe_handle()]
        self.calls += 1
        explain = context.get_request_header(0, "explain")
        return [{"calls": self.calls, "explain": explain, "same": context is self.context,
                 "cwd": os.getcwd(), "dir": self.context.system_properties["model_dir"],
                 "pid": os.getpid()} for _ in data]

    def describe_handle(self):
        return {"calls": self.calls, "nothing": None, "nested": {"a": [1, 2]}}
