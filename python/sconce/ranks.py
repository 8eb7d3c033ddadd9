# SPDX-License-Identifier: Apache-2.0
"""A worker of several processes, for models that span several GPUs (parallelType pp, tp, pptp).

The front starts one process per rank. Rank 0 has the front's socket and answers; it hands what
it is sent on to the others, over a socket to each, so that every handler is called with the same
requests in the same order. What the others answer goes nowhere. The front watches all of them:
when one ends, all do.
"""

import os
import socket
from array import array
from json import dumps, loads    # a handler may put others in their place

from sconce import frame as wire
from sconce import logs
from sconce.channel import Channel, Closed, open_socket
from sconce.loader import LoadError
from sconce.memory import Memory

_PASSED_ON = frozenset((wire.CANCEL, wire.TUNE, wire.STOP, wire.SEQUENCE_OVER))
# Bodies that a peer keeps for requests it has not begun: more than the front sends ahead, so that
# it is those of cancelled requests that go.
_UNREAD_MAX = 2048


def _next(serial):
    """The number of a RUN frame, by which its bodies are known: both sides count."""
    return (serial + 1) & 0xffffffff


class Lead(Channel):
    """Rank 0's socket to the front; passes on what arrives."""

    def __init__(self, fd, memory):
        super().__init__(fd)
        self._memory = memory
        self._peers = {}
        self._serial = 0

    def _receive(self, flags, buffer):
        got = super()._receive(flags, buffer)
        kind, count, arg, data, size, fds = got
        # A later frame may need it before this one is handled: see Channel.wait().
        if kind == wire.SEGMENT and len(fds) == 1:
            self._memory.add_segment(arg, wire.read_u64(data, wire.HEAD, size), os.dup(fds[0]))
        elif kind == wire.PEER and len(fds) == 1:
            self._peers[arg] = open_socket(fds[0])
        elif kind == wire.RUN:
            self._pass_run(data, size, count)
        elif kind == wire.LOAD:
            self._pass_on(bytes(data[:size]), fds[1:])
        elif kind in _PASSED_ON:
            self._pass_on(bytes(data[:size]))
        return got

    def _pass_on(self, frame, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))] if fds else []
        for peer in self._peers.values():
            try:
                peer.sendmsg([frame], ancillary)
            except OSError:
                raise Closed() from None   # the front ends this process, too

    def _pass_run(self, data, size, count):
        """Peers get copies of the bodies: the front's memory is ours only until we answer."""
        frame = bytearray(data[:size])
        bodies = []
        end = 0
        self._serial = _next(self._serial)

        def move(segment, offset, length):
            nonlocal end
            bodies.append(self._memory.read(segment, offset, length))
            begin, end = end, end + length
            return self._serial, begin

        wire.move_parts(frame, count, move)
        if not end:
            self._pass_on(frame)
            return
        fd = os.memfd_create("sconce-bodies", os.MFD_CLOEXEC)
        try:
            with open(fd, "wb", closefd=False) as f:
                f.writelines(bodies)
            self._pass_on(frame, (fd,))
        finally:
            os.close(fd)

    def ready(self):
        """Waits until every peer has loaded the model."""
        for rank, peer in self._peers.items():
            data = peer.recv(wire.FRAME_MAX)
            if not data:
                raise LoadError("rank %d has ended" % rank)
            _kind, _count, code = wire.read_head(data, len(data))
            if code != 200:
                raise LoadError("rank %d could not load the model: %s"
                                % (rank, loads(data[wire.HEAD:])["message"]))

    def step(self, active, chosen):
        """When requests join and leave depends on time: peers are told, so that all agree."""
        self._pass_on(wire.frame(wire.PEER, 0, dumps(
            {"active": list(active), "chosen": [r.id for r in chosen]}).encode()))

    def finish(self):
        """Waits until every peer has finished what it was sent."""
        for peer in self._peers.values():
            try:
                while peer.recv(wire.FRAME_MAX):
                    pass
            except OSError:
                pass

    def close(self):
        super().close()
        for peer in self._peers.values():
            peer.close()


class Peer(Channel):
    """The socket of another rank, to rank 0: only whether it has loaded is told."""

    mute = True

    def __init__(self, fd, memory):
        super().__init__(fd)
        self._memory = memory
        self._serial = 0
        self._send = self.send
        self.send = self._tell

    def _tell(self, frame):
        if frame[0] == wire.LOADED:
            self._send(frame)

    def _receive(self, flags, buffer):
        got = super()._receive(flags, buffer)
        fds = got[5]
        if got[0] == wire.RUN:
            self._serial = _next(self._serial)
            if fds:
                self._memory.add_segment(self._serial, os.fstat(fds[0]).st_size, fds[0])
        elif got[0] == wire.LOAD:     # with memory for replies that nobody reads
            fd = os.memfd_create("sconce-replies", os.MFD_CLOEXEC)
            os.ftruncate(fd, 4096)
            got = got[:5] + ((fd, *fds),)
        return got


class PeerMemory(Memory):
    """The bodies of a peer's requests; each is read once."""

    def __init__(self):
        super().__init__()
        self._unread = {}

    def read(self, segment, offset, length):
        value = super().read(segment, offset, length)
        if length:
            self._unread[segment] -= length
            if self._unread[segment] <= 0:
                self.drop_segment(segment)
        return value

    def add_segment(self, ident, size, fd):
        super().add_segment(ident, size, fd)
        self._unread[ident] = size
        if len(self._unread) > _UNREAD_MAX:    # their requests were cancelled
            self.drop_segment(next(iter(self._unread)))

    def drop_segment(self, ident):
        super().drop_segment(ident)
        self._unread.pop(ident, None)

    def write(self, grant, body):
        pass


def _follow(session, requests, step):
    """One step of continuous batching, as rank 0 takes it."""
    for ident in requests.keys() - set(step["active"]):
        del requests[ident]
    chosen = [requests[ident] for ident in step["chosen"]]
    context = session.context
    try:
        rows = [session.fields(r) for r in chosen]
        context.begin_batch(chosen)
        values = session.entry(rows, context)
        # They may count; what they say is rank 0's to decide.
        for i, value in enumerate(values if context.stopping_criteria else ()):
            if not chosen[i].flags & wire.RUN_ALONE:
                context.stopping_criteria[i](value)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as e:
        logs.complain("", e)
        logs.forget(e)
    for r in chosen:
        r.parts = ()
        r.headers = b""


def serve(session):
    """The loop of a peer with continuous batching."""
    requests = {}
    try:
        while True:
            got = session.channel.receive()
            kind, count, _arg, data, size, _ = got
            if kind == wire.RUN:
                requests.update((r.id, r) for r in wire.read_requests(data, size, count))
            elif kind == wire.PEER:
                _follow(session, requests, loads(bytes(data[wire.HEAD:size])))
            elif not session.housekeeping(got):
                break
    except Closed:
        pass


def join(fd, rank):
    """The channel and memory of a rank."""
    memory = PeerMemory() if rank else Memory()
    return (Peer if rank else Lead)(fd, memory), memory
