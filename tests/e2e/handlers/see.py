# SPDX-License-Identifier: Apache-2.0
"""Tells what a handler gets to see of a request."""


def describe(value):
    if isinstance(value, (bytes, bytearray)):
        text = bytes(value)
        return [type(value).__name__, text.decode("latin-1") if len(text) < 4096 else len(text)]
    return [type(value).__name__, value]


def handle(data, context):
    if data is None:
        return None
    return [{"fields": [[name, *describe(value)] for name, value in row.items()],
             "headers": context.get_all_request_header(i),
             "id": context.get_request_id(i),
             "model": context.model_name,
             "version": context.manifest["model"].get("modelVersion"),
             "batch_size": context.system_properties.get("batch_size"),
             "rows": len(data)}
            for i, row in enumerate(data)]
