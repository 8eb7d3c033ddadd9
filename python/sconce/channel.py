# SPDX-License-Identifier: Apache-2.0
"""The socket to the front: frames in, frames out, and the housekeeping frames in between."""

import os
import socket
from _thread import allocate_lock
from array import array
from collections import deque

from sconce import frame as wire

_ANCILLARY = socket.CMSG_SPACE(4 * 4)
NOWAIT = socket.MSG_DONTWAIT   # for receive(): BlockingIOError when nothing is there


class Closed(Exception):
    """The front is gone: so is the reason to run."""


# What these say is acted upon by whoever receives them: others may wait for it.
_FLOW = frozenset((wire.GRANT, wire.WINDOW, wire.CANCEL))
# … and of these nothing else is left to do.
_WAKING = frozenset((wire.GRANT, wire.WINDOW))


def open_socket(fd):
    """A socket that waits as long as it takes: others may have a limit, which a sitecustomize, say,
    has given to all."""
    opened = socket.socket(fileno=fd)
    opened.settimeout(None)
    return opened


class Channel:
    """One thread serves what it receives; others may wait for memory and for slow clients, look
    for clients that have left, and send. They take turns in receiving: what is for the first one
    is kept for it, in order."""

    mute = False    # does nobody want to hear more than whether the model is loaded?

    def __init__(self, fd):
        os.set_inheritable(fd, False)      # what a handler starts may outlive this process
        self._socket = open_socket(fd)
        self._buffer = memoryview(bytearray(wire.FRAME_MAX))
        # For frames that receive() has not asked for.
        self._aside = memoryview(bytearray(wire.FRAME_MAX))
        self._kept = deque()
        self._lock = allocate_lock()
        self._receiving = False
        self._turn = None      # a condition, as soon as a thread has to wait for its turn
        self.on_flow = None    # called with a GRANT, WINDOW or CANCEL frame as soon as it is there
        self.on_aside = None   # called when another thread than the first has taken frames in
        self.send = self._socket.send

    def fileno(self):
        return self._socket.fileno()

    def receive(self, flags=0):
        """Returns (type, count, arg, data, size, fds). `data` may be reused by the next call."""
        with self._lock:
            while not self._kept and self._receiving:
                if flags & NOWAIT:
                    raise BlockingIOError()
                self._sleep()
            if self._kept:
                return self._kept.popleft()
            self._receiving = True
        try:
            got = self._receive(flags, self._buffer)
            self._act(got)
            return got
        finally:
            self._pass_turn()

    def wait(self, over):
        """Receives until over() is true, which must be an effect of on_flow()."""
        while True:
            with self._lock:
                while self._receiving and not over():
                    self._sleep()
                if over():
                    return
                self._receiving = True
            try:
                self._take_in(0)
            finally:
                self._pass_turn()

    def poll(self):
        """Receives what is there already."""
        with self._lock:
            if self._receiving:
                return
            self._receiving = True
        try:
            while True:
                self._take_in(NOWAIT)
        except BlockingIOError:
            pass
        finally:
            self._pass_turn()

    def _sleep(self):
        if self._turn is None:
            import threading     # hardly any worker needs it, and it is not small

            self._turn = threading.Condition(self._lock)
        self._turn.wait()

    def _pass_turn(self):
        with self._lock:
            self._receiving = False
            if self._turn is not None:
                self._turn.notify_all()

    def _act(self, got):
        if got[0] in _FLOW and self.on_flow:
            self.on_flow(got)

    def _take_in(self, flags):
        got = self._receive(flags, self._aside)
        self._act(got)
        kind, count, arg, data, size, fds = got
        # One of those that only wake somebody is as good as many: a stream has thousands.
        if not (kind in _WAKING and self._kept and self._kept[-1][0] in _WAKING):
            self._kept.append((kind, count, arg, bytes(data[:size]), size, fds))
        if self.on_aside:
            self.on_aside()

    def _receive(self, flags, buffer):
        size, ancillary, flags, _ = self._socket.recvmsg_into([buffer], _ANCILLARY, flags)
        if not size:
            raise Closed()
        fds = self._descriptors(ancillary) if ancillary else ()
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise wire.FrameError("a frame that was cut short")
        kind, count, arg = wire.read_head(buffer, size)
        return kind, count, arg, buffer, size, fds

    @staticmethod
    def _descriptors(ancillary):
        fds = array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
        for fd in fds:
            os.set_inheritable(fd, False)
        return tuple(fds)

    # What only a worker of several processes has to tell the others: see sconce.ranks.

    def ready(self):
        """The model is loaded."""

    def step(self, active, chosen):
        """Of the requests under way (by id) these are run now, by a handler with continuous
        batching."""

    def finish(self):
        """There is nothing more to do."""

    def leave(self):
        """In a process that was forked off, where the thread that had the lock or received is
        not."""
        self._lock, self._receiving, self._turn = allocate_lock(), False, None
        self.close()

    def close(self):
        self._socket.close()
