# SPDX-License-Identifier: Apache-2.0
"""Behind a service envelope: returns what the envelope has made of each request, as text."""


def handle(data, context):
    return [str(row) for row in data] if data is not None else None
