# SPDX-License-Identifier: Apache-2.0
"""Prints, logs and raises."""

import logging
import sys


def handle(data, context):
    if data is None:
        return None
    text = bytes(data[0]["body"]).decode()
    print("stdout says", text)
    print("stderr says", text, file=sys.stderr)
    logging.getLogger("talk").info("logging says %s", text)
    if text.startswith("raise"):
        raise KeyError(text)
    return ["ok" for _ in data]
