# SPDX-License-Identifier: Apache-2.0
"""Metrics on their way to the front: collected here, sent along with replies."""

import json

from sconce import logs

_MAX = 1000

connected = False   # is this a worker, with a front that takes them?

_pending = []


def emit(name, value, unit, metric_type, dimensions, request_ids=""):
    """Notes an update. `metric_type`: counter, gauge or histogram; `dimensions`: (name, value)
    pairs."""
    if len(_pending) < _MAX:
        _pending.append({"name": name, "value": value, "unit": unit, "type": metric_type,
                         "dimensions": dimensions, "request_ids": request_ids})


def take():
    """What has been noted since the last call; an empty list mostly."""
    global _pending
    if not _pending:
        return _pending
    taken, _pending = _pending, []
    return taken


def _dump(document):
    return json.dumps(document, allow_nan=False, ensure_ascii=False).encode("utf-8")


def _dump_one(update):
    try:
        return _dump(update)
    except Exception as e:
        logs.complain("The metric %.100a is not sent: %s" % (update["name"], logs.text_of(e)))
        return b""


def encode(updates):
    """As the front reads them. What one of them cannot say is left out and leaves the others."""
    try:
        return _dump(updates)
    except Exception:
        return b"[" + b",".join(filter(None, map(_dump_one, updates))) + b"]"
