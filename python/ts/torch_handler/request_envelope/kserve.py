# SPDX-License-Identifier: Apache-2.0
"""Envelope `kserve`: version 1 of KServe's protocol; only for batches of one request."""

import json

from ts.torch_handler.request_envelope.base import BaseEnvelope, contents


class KServeEnvelope(BaseEnvelope):
    def parse_input(self, data):
        document = contents(data[0])
        if isinstance(document, (bytes, bytearray)):
            document = json.loads(document)
        return document.get("instances")

    def format_output(self, data):
        return [{"explanations" if self._is_explain() else "predictions": data}]
