# SPDX-License-Identifier: Apache-2.0
"""Fails in the way that the body names."""

import os
import signal
import threading

from ts.utils.util import PredictionException


def memory(_):
    raise MemoryError("no room")


def cuda(_):
    raise RuntimeError("CUDA error: device-side assert triggered")


def prediction(text):
    code, message = text.split(" ", 1)
    raise PredictionException(message, int(code))


def prediction_default(text):
    raise PredictionException(text)


def mistake(text):
    raise ValueError(text)


def hang(_):
    threading.Event().wait()


WAYS = {
    "memory": memory,
    "cuda": cuda,
    "prediction": prediction,
    "prediction_default": prediction_default,
    "raise": mistake,
    "exit": lambda _: os._exit(3),
    "system_exit": lambda _: exit(3),
    "abort": lambda _: os.abort(),
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "hang": hang,
}


def handle(data, context):
    if data is None:
        return None
    rows = [bytes(row["body"]).decode() for row in data]
    for text in rows:
        way, _, rest = text.partition(" ")
        if way in WAYS:
            WAYS[way](rest)
    first, _, rest = rows[0].partition(" ")
    if first == "nonlist":
        return {"not": "a list"}
    if first == "none":
        return None
    if first == "short":
        return rows[1:]
    if first == "long":
        return [*rows, "one more"]
    if first == "huge":
        return [b"x" * int(rest)] + [b""] * (len(rows) - 1)
    return rows
