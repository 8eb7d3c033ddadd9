# SPDX-License-Identifier: Apache-2.0
"""A model in this process: its handler is loaded as by a worker, and runs in the loop of a worker.

Requests come and answers go as frames, so bodies are decoded and answers encoded as they are in a
server, and what the handler raises reaches the caller.
"""

import contextlib
import json
import mmap
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path

from sconce import frame as wire
from sconce import loader, serving, worker
from sconce.channel import Channel
from sconce.memory import Memory

_OUTBOUND = 1 << 28     # address space: only what is written takes memory
_PATIENCE_S = 60
_WEIGHTS = (".pt", ".pth", ".pt2", ".onnx", ".safetensors")
_REQUEST = struct.Struct("<IHHQQQQHHI36sI")
_PART = struct.Struct("<IHHQQBBBBI")
_REPLY = struct.Struct("<IHHQQQHHI")


class Answer:
    """What came back. `pieces`: of a streamed answer, in order; `body` is all of them."""

    def __init__(self, status, headers, pieces):
        self.status, self.headers, self.pieces = status, headers, pieces

    @property
    def body(self):
        return b"".join(self.pieces)

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<Answer %d %r>" % (self.status, self.body[:200])


def encoded(data, content_type):
    """What a client sends for this: bytes as they are, text as text, anything else as JSON."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data), content_type
    if isinstance(data, str):
        return data.encode(), content_type
    return json.dumps(data).encode(), content_type or "application/json"


def find_sconce():
    """The command: of SCONCE_BIN_DIR, beside this Python or this file, or of the PATH."""
    here = Path(__file__).resolve().parents[1]
    places = [Path(sys.executable).parent, here.parents[1] / "bin", here.parent / "build" / "bin"]
    if os.environ.get("SCONCE_BIN_DIR"):
        places.insert(0, Path(os.environ["SCONCE_BIN_DIR"]))
    for place in places:
        if os.access(place / "sconce", os.X_OK):
            return str(place / "sconce")
    found = shutil.which("sconce")
    if not found:
        raise FileNotFoundError("the command sconce was not found: put its folder into PATH, or "
                                "into SCONCE_BIN_DIR")
    return found


def _stage(path, into):
    """A model folder for a source file or a folder without a manifest, as `sconce dev` makes it."""
    if path.is_file() and path.suffix != ".py" or (path / "MAR-INF" / "MANIFEST.json").exists():
        return path
    folder = path.parent if path.is_file() else path
    handler = path if path.is_file() else folder / "handler.py"
    model = {"modelName": path.stem if path.is_file() else path.name, "modelVersion": "1.0",
             "handler": str(handler)}
    weights = [p.name for p in folder.iterdir() if p.suffix in _WEIGHTS]
    if len(weights) == 1:
        model["serializedFile"] = weights[0]
    if (folder / "model-config.yaml").exists():
        model["configFile"] = "model-config.yaml"
    into.mkdir()
    for entry in folder.iterdir():
        if entry.suffix != ".py" and not entry.name.startswith((".", "__pycache__")):
            (into / entry.name).symlink_to(entry)
    (into / "MAR-INF").mkdir()
    (into / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(
        {"runtime": "python", "model": model}))
    return into


def _unpack(source, into):
    """The folder and the manifest of a model, read as the server reads them."""
    done = subprocess.run([find_sconce(), "unpack", "--source", str(source), "--into", str(into)],
                          stdout=subprocess.PIPE, check=True)
    read = json.loads(done.stdout)
    if not read.get("ok"):
        raise ValueError(read.get("message", "the archive cannot be read"))
    return read["dir"], read["manifest"]


class _Front:
    """The other end of the worker's channel, in a thread: answers what it asks for, and collects
    its replies."""

    def __init__(self, channel, wanted):
        self.channel, self.wanted = channel, wanted
        self.replies = {}
        self.next = 4096
        self.failed = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while self.wanted:
                data = self.channel.recv(wire.FRAME_MAX)
                if not data:
                    return
                kind, count, arg = wire.read_head(data, len(data))
                if kind == wire.NEED:
                    self._grant(arg, wire.read_u64(data, wire.HEAD, len(data)))
                elif kind == wire.CHUNK:
                    self._chunk(data, count)
            self.channel.send(wire.frame(wire.STOP))
        except Exception as e:
            self.failed = e
            self.channel.close()

    def _grant(self, ident, length):
        size = (length + 4095) & ~4095
        if self.next + size > _OUTBOUND:
            self.next = 4096
        self.channel.send(wire.frame(wire.GRANT, ident, wire.pack_u64(self.next) +
                                     wire.pack_u64(size)))
        self.next += size

    def _chunk(self, data, count):
        at = wire.HEAD
        for _ in range(count):
            size, status, flags, ident, offset, length, n_type, n_phrase, n_headers = (
                _REPLY.unpack_from(data, at))
            texts = at + _REPLY.size
            head = texts + n_type + n_phrase
            if flags & wire.REPLY_GRANTED:
                body = bytes(self.outbound[offset:offset + length])
            else:
                body = data[head + n_headers:head + n_headers + length]
            media = data[texts:texts + n_type].decode()
            self._reply(ident, status, flags, body, media,
                        wire.read_headers(data[head:head + n_headers]))
            at += size

    def _reply(self, ident, status, flags, body, media, headers):
        if media:
            headers.setdefault("content-type", media)
        known = self.replies.setdefault(ident, Answer(status, headers, []))
        if flags & wire.REPLY_ERROR:
            known.status = status
        if body:
            known.pieces.append(body)
        if flags & wire.REPLY_FINAL:
            self.wanted -= 1
        else:
            self.channel.send(wire.frame(wire.WINDOW, ident, wire.pack_u64(len(body))))


class Model:
    """A model in this process; what its handler is in a worker. `handler` is the object or function
    that answers, `context` what it got."""

    def __init__(self, path, batch_size=None, gpu_id=None):
        self._tmp = Path(tempfile.mkdtemp(prefix="sconce-model-"))
        self._path, self._modules = list(sys.path), set(sys.modules)
        try:
            self._load(Path(path).resolve(strict=True), batch_size, gpu_id)
        except BaseException:
            self.close()
            raise

    def _load(self, path, batch_size, gpu_id):
        self.dir, manifest = _unpack(_stage(path, self._tmp / "model"), self._tmp / "unpacked")
        load = {"model_name": manifest["model_name"], "model_version": manifest["model_version"],
                "model_dir": self.dir, "handler": manifest["handler"], "gpu_id": gpu_id,
                "batch_size": batch_size or max(manifest["batch_size"], 1),
                "envelope": manifest["envelope"], "max_response_size": _OUTBOUND,
                "manifest": json.loads(manifest["manifest_json"]),
                "model_yaml_config": json.loads(manifest["config_json"]),
                "continuous_batching": manifest["continuous_batching"],
                "sequence_batching": manifest["sequence_batching"]}
        with self._inside():
            self.context = worker._make_context(load)
            entry = loader.load(load["handler"], self.dir, self.context, load["envelope"])
        self.handler = getattr(entry, "__self__", entry)
        self._loop, _ = worker._loop(load, entry, None)
        self._number = 0
        self._raised = []
        self._connect(load, entry)

    def _connect(self, load, entry):
        ours, self._front = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._front.settimeout(None)    # whatever a handler has given to all
        self._memory = Memory()
        outbound = os.memfd_create("sconce-model")
        os.ftruncate(outbound, _OUTBOUND)
        self._memory.set_outbound(outbound)
        self._session = serving.Session(Channel(ours.detach()), self._memory, load, entry,
                                        self.context)
        self._anew = lambda: self._connect(load, entry)
        fail = self._session.replies.raised

        def raised(requests, error):
            self._raised.append((error, error.__traceback__))    # of which the worker keeps less
            fail(requests, error)

        self._session.replies.raised = raised

    def _disconnect(self):
        """Whoever waits at the other end hears of it; a loop of coroutines still waits at ours."""
        if hasattr(self._loop, "event_loop"):
            self._loop.event_loop().close()
        self._front.shutdown(socket.SHUT_RDWR)
        self._session.channel.close()

    @contextlib.contextmanager
    def _inside(self):
        """Workers run in the model's folder."""
        before = os.getcwd()
        os.chdir(self.dir)
        try:
            yield
        finally:
            os.chdir(before)

    def predict(self, data=b"", content_type="", headers=None, fields=None):
        """One request: the answer. `fields` are those of a form, instead of a body. What the
        handler raises is raised; PredictionException becomes an answer, as for clients."""
        answer, = self.predict_batch([data if fields is None else _Form(fields)], content_type,
                                     headers)
        return answer

    def predict_batch(self, rows, content_type="", headers=None):
        """Requests that the handler gets in one call."""
        entries, self._memory.segments[1] = self._encode(rows, content_type, headers or {})
        front = _Front(self._front, len(rows))
        front.outbound = self._memory.outbound
        self._raised.clear()
        self._number += 1
        self._front.send(wire.frame(wire.RUN, self._number, b"".join(entries), len(entries)))
        front.thread.start()
        before = serving.session
        try:
            with self._inside():
                self._loop.serve(self._session)
        except BaseException:     # what ends a worker, of which the next one knows nothing
            self._disconnect()
            front.thread.join(_PATIENCE_S)
            self._front.close()
            self._anew()
            raise
        finally:
            serving.session = before
        front.thread.join(_PATIENCE_S)
        if front.failed:
            raise front.failed
        for error, trace in self._raised:
            if not any(c.__name__ == "PredictionException" for c in type(error).__mro__):
                raise error.with_traceback(trace)
        return [front.replies[i + 1] for i in range(len(rows))]

    @staticmethod
    def _encode(rows, content_type, headers):
        entries, data = [], bytearray()
        block = wire.write_headers(headers.items())
        for i, row in enumerate(rows):
            parts = row.parts() if isinstance(row, _Form) else [
                (wire.PART_BODY, "body", *encoded(row, content_type))]
            records, texts = b"", b""
            for kind, name, body, media in parts:
                records += _PART.pack(1, len(name.encode()), len(media), len(data), len(body),
                                      kind, 0, 0, 0, 0)
                texts += name.encode() + media.encode()
                data += body
            tail = records + texts + block
            size = (_REQUEST.size + len(tail) + 7) & ~7
            head = _REQUEST.pack(size, 0, 0, i + 1, 0, 0, 0, len(parts), 0, len(block),
                                 str(uuid.uuid4()).encode(), len(texts))
            entries.append((head + tail).ljust(size, b"\0"))
        view = mmap.mmap(-1, max(len(data), 1))
        view[:len(data)] = bytes(data)
        return entries, memoryview(view)

    def close(self):
        """Forgets the handler's modules, so that another handler.py is another one."""
        for name in set(sys.modules) - self._modules:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith((str(self._tmp), getattr(self, "dir", " "))) or (
                    Path(file).parent != Path() and str(Path(file).parent) in
                    set(sys.path) - set(self._path)):
                del sys.modules[name]
        sys.path[:] = self._path
        if hasattr(self, "_session"):
            self._session.channel.close()
            self._front.close()
        shutil.rmtree(self._tmp, ignore_errors=True)


class _Form:
    def __init__(self, fields):
        self.fields = fields

    def parts(self):
        return [(wire.PART_FIELD, name, *encoded(value, ""))
                for name, value in self.fields.items()]
