# SPDX-License-Identifier: Apache-2.0
"""Signals that end a run, which takes away what it has made so far."""

import contextlib
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupt(signum, frame):
    """Once: what is ended and removed then is not to be interrupted."""
    for other in SIGNALS:
        signal.signal(other, lambda *_: None)
    raise KeyboardInterrupt


def hear():
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN or number != signal.SIGHUP:   # nohup
            signal.signal(number, _interrupt)


@contextlib.contextmanager
def uninterrupted():
    """For what takes a moment; a signal that comes meanwhile has come too late."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
