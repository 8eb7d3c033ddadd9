# SPDX-License-Identifier: Apache-2.0
"""
A worker that lies. It speaks the protocol until it has loaded (docs/protocol.md), and then
answers its first request in the way that SCONCE_E2E_LIE names. Where the file SCONCE_E2E_HONEST
exists it answers truly: a server must be able to go on once the liar is gone.
"""

import json
import os
import socket
import struct
import sys

HEAD = struct.Struct("<BBHIQ")
REPLY = struct.Struct("<IHHQQQHHI")
HELLO, LOADED, CHUNK, NEED, METRIC, LOG = range(1, 7)
LOAD, RUN, STOP = 33, 34, 40
FINAL, ERROR, GRANTED = 1, 2, 4


def frame(kind, arg=0, count=0, body=b""):
    return HEAD.pack(kind, 0, count, HEAD.size + len(body), arg) + body


def reply(request, status=200, flags=FINAL, offset=0, length=None, headers=b"", body=b"true"):
    length = len(body) if length is None else length
    entry = REPLY.pack(0, status, flags, request, offset, length, 0, 0, len(headers))
    entry += headers + body
    entry += bytes(-len(entry) % 8)
    return struct.pack("<I", len(entry)) + entry[4:]


def chunk(*entries):
    return frame(CHUNK, 1000, len(entries), b"".join(entries))


def granted(request, offset, length):
    return chunk(reply(request, flags=FINAL | GRANTED, offset=offset, length=length, body=b""))


def header(name, value):
    return struct.pack("<HH", len(name), len(value)) + name + value


LIES = {
    "garbage": lambda r: os.urandom(200),
    "short": lambda r: b"\x03",
    "wrong length": lambda r: HEAD.pack(CHUNK, 0, 1, 4000, 0) + b"x" * 100,
    "unknown type": lambda r: frame(99),
    "front's type": lambda r: frame(RUN, 1, 0),
    "unknown request": lambda r: chunk(reply(r + 1000)),
    "count without entries": lambda r: frame(CHUNK, 0, 7),
    "bytes behind": lambda r: frame(CHUNK, 0, 1, reply(r) + bytes(16)),
    "twice": lambda r: chunk(reply(r), reply(r)),
    "entry too long": lambda r: chunk(struct.pack("<I", 1 << 31) + reply(r)[4:]),
    "body too long": lambda r: chunk(reply(r, length=1 << 40)),
    "granted nothing": lambda r: granted(r, 4096, 100),
    "granted far away": lambda r: granted(r, 1 << 50, 1 << 50),
    "granted overflow": lambda r: granted(r, 2**64 - 8, 16),
    "header too long": lambda r: chunk(reply(r, headers=struct.pack("<HH", 3, 60000) + b"abc")),
    "second hello": lambda r: frame(HELLO, 0, 0, b'{"protocol": 1}'),
    "second loaded": lambda r: frame(LOADED, 200, 0, b'{"message": "", "credits": 1}'),
    "need without bytes": lambda r: frame(NEED, r),
    "need for a stranger": lambda r: frame(NEED, r + 1000, 0, struct.pack("<Q", 100)),
}

# What a handler may get wrong: its request fails, and nobody else.
MISTAKES = {
    "status 0": lambda r: chunk(reply(r, status=0)),
    "status 65535": lambda r: chunk(reply(r, status=65535)),
    "split header": lambda r: chunk(reply(r, headers=header(b"X-A", b"b\r\nX-Evil: 1"))),
    "bad header name": lambda r: chunk(reply(r, headers=header(b"X A:", b"b"))),
    "interim error": lambda r: chunk(reply(r, status=101, flags=FINAL | ERROR)),
    "interim piece": lambda r: chunk(reply(r, status=101, flags=0), reply(r)),
    "bad piece": lambda r: chunk(reply(r, headers=header(b"X A:", b"b"), flags=0), reply(r)),
}

# These are harmless: the worker goes on and answers.
ODDITIES = {
    "need too much": lambda r: frame(NEED, r, 0, struct.pack("<Q", 1 << 60)),
    "bad metrics": lambda r: frame(METRIC, 0, 0, b'[{"name": 7}, {"name": "a b", "value": 1}, 3]'),
    "metrics that are no JSON": lambda r: frame(METRIC, 0, 0, b"\xff\xfe{"),
    "log with line breaks": lambda r: frame(LOG, 7, 0, b"a\nforged [ERROR] line\x00\xff"),
}


def run(sock):
    honest = os.path.exists(os.environ["SCONCE_E2E_HONEST"])
    lie = os.environ["SCONCE_E2E_LIE"]
    sock.send(frame(HELLO, 0, 0, json.dumps({"protocol": 1, "pid": os.getpid(), "runtime": "rogue",
                                              "version": "1"}).encode()))
    while packet := sock.recv(65536):
        kind, _, _, _, _ = HEAD.unpack_from(packet)
        if kind == LOAD:
            sock.send(frame(LOADED, 200, 0, b'{"message": "", "credits": 1, "imports": []}'))
        elif kind == STOP:
            return
        elif kind == RUN:
            request, = struct.unpack_from("<Q", packet, HEAD.size + 8)
            if lie in ODDITIES:
                sock.send(ODDITIES[lie](request))
                sock.send(chunk(reply(request)))
            else:
                sock.send(chunk(reply(request)) if honest else {**LIES, **MISTAKES}[lie](request))


if __name__ == "__main__":
    with socket.socket(fileno=3) as s:
        run(s)
    sys.exit(0)
