# SPDX-License-Identifier: Apache-2.0
"""A worker process at the end of a socketpair, driven by the test instead of the front."""

import importlib.util
import json
import mmap
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

from sconce import frame as wire  # noqa: E402

SEGMENT_SIZE = 1 << 20
OUTBOUND_SIZE = 1 << 22
_REQUEST = struct.Struct("<IHHQQQQHHI36sI")
_PART = struct.Struct("<IHHQQBBBBI")


def request_entry(ident, parts, batch=0, flags=0, grant=(0, 0), headers=b"", uuid="u" * 36):
    """parts: (kind, name, type, segment, offset, length)."""
    records = b"".join(_PART.pack(s, len(n), len(t), o, length, kind, 0, 0, 0, 0)
                       for kind, n, t, s, o, length in parts)
    texts = b"".join(n.encode() + t.encode() for _, n, t, *_ in parts)
    tail = records + texts + headers
    size = (_REQUEST.size + len(tail) + 7) & ~7
    head = _REQUEST.pack(size, batch, flags, ident, 0, grant[0], grant[1], len(parts), 0,
                         len(headers), uuid.encode(), len(texts))
    return (head + tail).ljust(size, b"\0")


# What needs torch runs where that is, by its marker: whole files that import it, and tests that ask
# for it. Where it is not, those files cannot even be read.
ALL_TORCH = ["test_ts_base_handler.py", "test_ts_compiled.py", "test_ts_vision.py"]
collect_ignore = [] if importlib.util.find_spec("torch") else ALL_TORCH


def pytest_configure(config):
    config.addinivalue_line("markers", "torch: needs torch")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name in ALL_TORCH or "torch" in item.fixturenames:
            item.add_marker(pytest.mark.torch)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


class Reply:
    def __init__(self, status, flags, ident, body, content_type, headers):
        self.status, self.flags, self.id, self.body = status, flags, ident, body
        self.content_type, self.headers = content_type, headers

    @property
    def final(self):
        return bool(self.flags & wire.REPLY_FINAL)

    @property
    def error(self):
        return bool(self.flags & wire.REPLY_ERROR)


class Front:
    """What the front does, by hand."""

    def __init__(self, handler_dir, **load):
        self.socket, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(30)
        self.process = self.launch(peer)
        peer.close()
        self.segment_fd = os.memfd_create("in")
        os.ftruncate(self.segment_fd, SEGMENT_SIZE)
        self.segment = mmap.mmap(self.segment_fd, SEGMENT_SIZE)
        self.outbound_fd = os.memfd_create("out")
        os.ftruncate(self.outbound_fd, OUTBOUND_SIZE)
        self.outbound = mmap.mmap(self.outbound_fd, OUTBOUND_SIZE)
        self.sequence, self.skipped = 0, []
        self.hello = json.loads(self.receive(wire.HELLO)[1])
        self.send(wire.SEGMENT, 7, wire.pack_u64(SEGMENT_SIZE), fds=[self.segment_fd])
        document = {"model_name": "m", "model_version": "1.0", "model_dir": str(handler_dir),
                    "handler": "handler.py", "batch_size": 4, "gpu_id": None, "envelope": "",
                    "limit_max_image_pixels": True, "decode_input_request": True, "threads": 1,
                    "manifest": {}, "model_yaml_config": {}, "max_response_size": 3 << 20,
                    "server_version": "x", "worker_id": "W", "metrics": True, "async": False}
        document.update(load)
        text = json.dumps(document).encode()
        with os.fdopen(os.memfd_create("load"), "wb", buffering=0) as load:
            load.write(text)
            self.send(wire.LOAD, len(text), fds=[self.outbound_fd, load.fileno()])
        self.loaded_code, payload = self.receive(wire.LOADED)
        self.loaded = json.loads(payload)

    @staticmethod
    def launch(peer):
        env = dict(os.environ, PYTHONPATH=str(ROOT / "python"))
        return subprocess.Popen(
            [sys.executable, "-m", "sconce.worker", "--fd", str(peer.fileno())],
            pass_fds=[peer.fileno()], env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, kind, arg, payload=b"", count=0, fds=()):
        data = wire.frame(kind, arg, payload, count)
        if fds:
            socket.send_fds(self.socket, [data], fds)
        else:
            self.socket.send(data)

    def receive_any(self):
        data = self.socket.recv(wire.FRAME_MAX)
        assert data, self.process.communicate()[1].decode()
        kind, count, arg = wire.read_head(data, len(data))
        return kind, count, arg, data

    def receive(self, kind):
        while True:
            got, _, arg, data = self.receive_any()
            if got == kind:
                return arg, data[wire.HEAD:]
            self.skipped.append((got, arg))

    def run(self, bodies, name="body", media="", batch_size=1, headers=b"", flags=0, grant=(0, 0),
            first=1, uuids=False):
        """Sends one RUN frame; returns nothing. Request ids count from `first`. `uuids`: they have
        names of their own."""
        entries, at = [], 0
        for i, body in enumerate(bodies):
            self.segment[at:at + len(body)] = body
            entries.append(request_entry(
                first + i, [(0, name, media, 7, at, len(body))], batch=i // batch_size,
                headers=headers, flags=flags, grant=grant,
                uuid="%036d" % (first + i) if uuids else "u" * 36))
            at += len(body)
        self.send(wire.RUN, self.sequence + 1, b"".join(entries), len(entries))
        self.sequence += (len(bodies) + batch_size - 1) // batch_size

    def grant(self, ident, length):
        """Small ones of several requests do not overlap."""
        place = (8192, OUTBOUND_SIZE - 8192)
        if length <= 1 << 20:
            place = (8192 + (ident % 3 << 20), 1 << 20)
        self.send(wire.GRANT, ident, wire.pack_u64(place[0]) + wire.pack_u64(place[1]))

    def replies(self, wanted):
        """Collects replies until `wanted` final ones are there, answering NEED on the way and
        opening the windows of streams."""
        replies = []
        taken = {}
        while sum(r.final for r in replies) < wanted:
            kind, count, arg, data = self.receive_any()
            if kind == wire.NEED:
                self.grant(arg, wire.read_u64(data, wire.HEAD, len(data)))
            elif kind == wire.CHUNK:
                self.busy_ns = arg
                more = self.read_replies(data, count)
                replies += more
                for r in more:
                    taken[r.id] = taken.get(r.id, 0) + len(r.body)
                    if not r.final and taken[r.id] >= wire.WINDOW_BYTES // 2:
                        self.send(wire.WINDOW, r.id, wire.pack_u64(taken.pop(r.id)))
        return replies

    def read_replies(self, data, count):
        at, replies = wire.HEAD, []
        for _ in range(count):
            size, status, flags, ident, offset, length, nt, np, nh = struct.unpack_from(
                "<IHHQQQHHI", data, at)
            texts = at + 40
            body = (self.outbound[offset:offset + length] if flags & wire.REPLY_GRANTED
                    else data[texts + nt + np + nh:texts + nt + np + nh + length])
            replies.append(Reply(status, flags, ident, body, data[texts:texts + nt].decode(),
                                 wire.read_headers(data[texts + nt + np:texts + nt + np + nh])))
            at += size
        assert at == len(data)
        return replies

    def close(self):
        self.socket.close()
        out, err = self.process.communicate(timeout=30)
        return out.decode(), err.decode()


@pytest.fixture
def front(tmp_path):
    """A factory: front(source, **load) starts a worker with this handler."""
    started = []

    def start(source, **load):
        (tmp_path / "handler.py").write_text(source)
        started.append(Front(tmp_path, **load))
        return started[-1]

    yield start
    for f in started:
        if f.process.poll() is None:
            f.process.kill()
        f.socket.close()
        f.process.communicate()
