# SPDX-License-Identifier: Apache-2.0
"""The socket to the front: frames in, frames out, and the housekeeping frames in between."""

import os
import socket
from array import array
from collections import deque

from sconce import frame as wire

_ANCILLARY = socket.CMSG_SPACE(4 * 4)
NOWAIT = socket.MSG_DONTWAIT   # for receive(): BlockingIOError when nothing is there


class Closed(Exception):
    """The front is gone: so is the reason to run."""


class Channel:
    """Not thread-safe: one thread receives, and sends."""

    def __init__(self, fd):
        self._socket = socket.socket(fileno=fd)
        self._buffer = bytearray(wire.FRAME_MAX)
        self._view = memoryview(self._buffer)
        self._kept = deque()
        self.send = self._socket.send

    def fileno(self):
        return self._socket.fileno()

    def receive(self, flags=0):
        """Returns (type, count, arg, data, size, fds). `data` may be reused by the next call."""
        if self._kept:
            return self._kept.popleft()
        return self._receive(flags)

    def receive_kind(self, kind, arg):
        """Waits for one frame; others that arrive meanwhile are kept for receive()."""
        while True:
            got = self._receive()
            if got[0] == kind and got[2] == arg:
                return got
            self._keep(got)

    def take(self, kind):
        """The args of the frames of this kind that are there already, without waiting."""
        args = []
        try:
            while True:
                got = self._receive(NOWAIT)
                if got[0] == kind:
                    args.append(got[2])
                else:
                    self._keep(got)
        except BlockingIOError:
            return args

    def _keep(self, got):
        kind, count, arg, data, size, fds = got
        self._kept.append((kind, count, arg, bytes(data[:size]), size, fds))

    def _receive(self, flags=0):
        size, ancillary, flags, _ = self._socket.recvmsg_into([self._buffer], _ANCILLARY, flags)
        if not size:
            raise Closed()
        fds = self._descriptors(ancillary) if ancillary else ()
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise wire.FrameError("a frame that was cut short")
        kind, count, arg = wire.read_head(self._buffer, size)
        return kind, count, arg, self._view, size, fds

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

    def close(self):
        self._socket.close()
