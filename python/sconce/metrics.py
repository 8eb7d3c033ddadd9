# SPDX-License-Identifier: Apache-2.0
"""Metrics on their way to the front: collected here, sent along with replies."""

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
