# SPDX-License-Identifier: Apache-2.0
"""Holds a handler in the middle of a call until the test lets it go (handlers/gate.py)."""

import errno
import json
import os
from concurrent.futures import Future
from threading import Thread

from e2e.server import eventually


class Gate:
    """A FIFO that the handler opens and reads, and a file to which it adds a line per call."""

    def __init__(self, folder, name="gate"):
        self.fifo = str(folder / f"{name}.fifo")
        self.calls = folder / f"{name}.calls"
        os.mkfifo(self.fifo)
        self.calls.touch()

    def body(self, **more):
        return json.dumps({"fifo": self.fifo, "calls": str(self.calls), **more})

    def entries(self):
        """Bodies' `tag`s of the calls that have begun, in order."""
        return self.calls.read_text().splitlines()

    def wait_entered(self, n=1):
        eventually(lambda: len(self.entries()) >= n, f"{n} calls reach the gate")

    def open(self):
        """Lets one waiting handler go on."""
        def try_open():
            try:
                return os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as e:
                if e.errno != errno.ENXIO:
                    raise
                return None
        fd = eventually(lambda: try_open() or None, "a handler waits at the gate")
        os.close(fd)


def background(call, *arguments, **options):
    """Runs a call in a thread; returns its Future."""
    future = Future()

    def run():
        try:
            future.set_result(call(*arguments, **options))
        except BaseException as e:
            future.set_exception(e)

    Thread(target=run, daemon=True).start()
    return future
