# SPDX-License-Identifier: Apache-2.0
"""Fails while it is set up."""


class BadInit:
    def initialize(self, context):
        raise RuntimeError("the weights are not where they should be")

    def handle(self, data, context):
        return ["never" for _ in data]
