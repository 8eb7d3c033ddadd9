# SPDX-License-Identifier: Apache-2.0
"""Shared memory as a worker sees it: inbound segments to read, one outbound memory to write."""

import mmap
import os

from sconce.frame import FrameError, store_u64


class Memory:
    """Maps what the front passes; every address is checked against the map it names."""

    def __init__(self):
        self.segments = {}
        self.outbound = None
        self.outbound_size = 0

    def add_segment(self, ident, size, fd):
        """Takes over `fd`."""
        try:
            view = memoryview(mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ))
        finally:
            os.close(fd)
        self.segments[ident] = view

    def drop_segment(self, ident):
        # A view may still be referenced; the map goes when the last one does.
        self.segments.pop(ident, None)

    def set_outbound(self, fd):
        """Takes over `fd`."""
        try:
            self.outbound_size = os.fstat(fd).st_size
            self.outbound = mmap.mmap(fd, self.outbound_size, mmap.MAP_SHARED,
                                      mmap.PROT_READ | mmap.PROT_WRITE)
        finally:
            os.close(fd)

    def read(self, segment, offset, length):
        """A view of inbound bytes, valid until the request is answered."""
        if not length:
            return b""
        view = self.segments.get(segment)
        if view is None or offset + length > len(view):
            raise FrameError("a part that lies outside its segment")
        return view[offset:offset + length]

    def write(self, grant, body):
        """Puts a reply body where it was granted."""
        offset, length = grant
        if len(body) > length or offset + length > self.outbound_size:
            raise FrameError("a grant that lies outside the outbound memory")
        self.outbound[offset:offset + len(body)] = bytes(body) if not isinstance(
            body, (bytes, bytearray, memoryview)) else body

    def leave(self):
        """In a process that was forked off: what it writes there would be in the worker's answers,
        or by then in those of other requests; and maps keep memory that the front has given up."""
        self.segments.clear()
        self.outbound, self.outbound_size = None, 0

    def begin_batch(self, number):
        store_u64(self.outbound, number)
