# SPDX-License-Identifier: Apache-2.0
"""Two entry points; the manifest names the second."""


def handle(data, context):
    return ["handle" for _ in data] if data is not None else None


def serve(data, context):
    return ["serve" for _ in data] if data is not None else None
