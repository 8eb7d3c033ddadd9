# SPDX-License-Identifier: Apache-2.0
"""Envelope `body`: handlers get what requests carry, without its name."""

from ts.torch_handler.request_envelope.base import BaseEnvelope, contents


class BodyEnvelope(BaseEnvelope):
    def parse_input(self, data):
        return [contents(row) for row in data]

    def format_output(self, data):
        return data
