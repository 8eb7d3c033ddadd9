# SPDX-License-Identifier: Apache-2.0
"""Metrics on their way to the front: collected here, sent along with replies, or earlier where a
handler makes many, or makes them while there is no request."""

from collections import deque
from json import dumps    # a handler may put another in its place

from sconce import frame as wire
from sconce import logs

_MAX = 1000             # that wait for the next reply

connected = False       # is this a worker, with a front that takes them?

_channel = None
_pending = deque()      # any thread adds to it, and any takes from it


def connect(channel):
    global connected, _channel
    connected, _channel = True, channel


def disconnect():
    global connected, _channel
    connected, _channel = False, None
    _pending.clear()


def emit(name, value, unit, metric_type, dimensions, request_ids=""):
    """Notes an update. `metric_type`: counter, gauge or histogram; `dimensions`: (name, value)
    pairs."""
    _pending.append({"name": name, "value": value, "unit": unit, "type": metric_type,
                     "dimensions": dimensions, "request_ids": request_ids})
    # A coroutine may have left a task that goes on when its requests are over.
    if _channel is not None and (len(_pending) >= _MAX or all(r.over for r in logs.of_now())):
        flush(_channel)


def take():
    """What has been noted since the last call."""
    taken = []
    try:
        while len(taken) < _MAX:
            taken.append(_pending.popleft())
    except IndexError:
        pass
    return taken


def flush(channel):
    """Sends what has been noted; nothing mostly."""
    while _pending:
        _send(channel, take())


def _send(channel, updates):
    payload = encode(updates)
    if len(payload) <= wire.FRAME_MAX - wire.HEAD:
        channel.send(wire.frame(wire.METRIC, 0, payload))
    elif len(updates) > 1:
        _send(channel, updates[:len(updates) // 2])
        _send(channel, updates[len(updates) // 2:])
    else:
        logs.complain("The metric %.100a is not sent: it is too large" % (updates[0]["name"],))


def _dump(document):
    return dumps(document, allow_nan=False, ensure_ascii=False).encode("utf-8")


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
