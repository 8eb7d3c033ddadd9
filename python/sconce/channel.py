# SPDX-License-Identifier: Apache-2.0
"""The socket to the front: frames in, frames out, and the housekeeping frames in between."""

import os
import socket
from _thread import RLock   # threading itself is not needed, and not small
from array import array
from collections import deque

from sconce import frame as wire

_ANCILLARY = socket.CMSG_SPACE(4 * 4)
NOWAIT = socket.MSG_DONTWAIT   # for receive(): BlockingIOError when nothing is there


class Closed(Exception):
    """The front is gone: so is the reason to run."""


class Channel:
    """One thread receives; others may ask for memory and look for frames meanwhile, and send.

    Whoever finds a frame that is not for it keeps it for receive(), in order."""

    def __init__(self, fd):
        self._socket = socket.socket(fileno=fd)
        self._buffer = memoryview(bytearray(wire.FRAME_MAX))
        # For frames that receive() has not asked for.
        self._aside = memoryview(bytearray(wire.FRAME_MAX))
        self._kept = deque()
        self._granted = {}     # request id → (offset, length)
        self._reading = RLock()
        self.on_kept = None    # called when a frame was kept: its socket tells of it no more
        self.send = self._socket.send

    def fileno(self):
        return self._socket.fileno()

    def receive(self, flags=0):
        """Returns (type, count, arg, data, size, fds). `data` may be reused by the next call."""
        if self._kept:
            return self._kept.popleft()
        if not self._reading.acquire(not flags & NOWAIT):
            raise BlockingIOError()
        try:
            # While we waited for the lock, its owner may have kept one.
            while not self._kept:
                got = self._receive(flags, self._buffer)
                if got[0] != wire.GRANT:
                    return got
                self._keep(got)
            return self._kept.popleft()
        finally:
            self._reading.release()

    def receive_grant(self, ident):
        """Waits for the memory that NEED asked for; returns (offset, length)."""
        with self._reading:
            while ident not in self._granted:
                self._keep(self._receive(0, self._aside))
            return self._granted.pop(ident)

    def take(self, kind):
        """The args of the frames of this kind that are there already, without waiting."""
        args = []
        if not self._reading.acquire(False):
            return args
        try:
            while True:
                got = self._receive(NOWAIT, self._aside)
                if got[0] == kind:
                    args.append(got[2])
                else:
                    self._keep(got)
        except BlockingIOError:
            return args
        finally:
            self._reading.release()

    def _keep(self, got):
        kind, count, arg, data, size, fds = got
        if kind == wire.GRANT:
            self._granted[arg] = (wire.read_u64(data, wire.HEAD, size),
                                  wire.read_u64(data, wire.HEAD + 8, size))
            return
        self._kept.append((kind, count, arg, bytes(data[:size]), size, fds))
        if self.on_kept:
            self.on_kept()

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

    def close(self):
        self._socket.close()
