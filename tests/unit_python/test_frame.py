# SPDX-License-Identifier: Apache-2.0
"""frame.py by itself, and against the C side (build/src/wire/frame_echo)."""

import os
import random
import subprocess
from pathlib import Path

import conftest
import pytest

from sconce import frame as wire

ROOT = Path(__file__).resolve().parents[2]
ECHO = Path(os.environ.get("SCONCE_BUILD", ROOT / "build")) / "src" / "wire" / "frame_echo"


def test_headers_survive_the_trip():
    pairs = [("X-A", "1"), ("x-a", "é"), ("Empty", ""), ("X-A", "2")]
    assert wire.read_headers(wire.write_headers(pairs)) == {"X-A": "2", "x-a": "é", "Empty": ""}
    with pytest.raises(ValueError):
        wire.write_headers([("a", "x" * 70000)])


def test_bad_frames_are_refused():
    good = wire.frame(wire.RUN, 1, conftest.request_entry(1, [(0, "b", "", 7, 0, 1)]), 1)
    wire.read_head(good, len(good))
    for bad in (good[:10], good[:-8], b"\x63" + good[1:], good[:1] + b"\1" + good[2:]):
        with pytest.raises(wire.FrameError):
            wire.read_head(bad, len(bad))


def test_changed_bytes_never_do_more_than_raise():
    good = wire.frame(wire.RUN, 1, conftest.request_entry(
        1, [(0, "body", "a/b", 7, 0, 1)], headers=wire.write_headers([("a", "b")])), 1)
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 0xff
        try:
            wire.read_head(bad, len(bad))
            for request in wire.read_requests(bad, len(bad), bad[2]):
                request.read_headers()
        except wire.FrameError:
            pass


@pytest.mark.skipif(not ECHO.exists(), reason="frame_echo is not built")
def test_the_c_side_understands_python_and_the_reverse():
    """C reads our frame, checks it, writes it again with its own code: the bytes must be the
    same."""
    rng = random.Random(1)
    for _ in range(30):
        entries, batch = [], 0
        for _ in range(rng.randrange(1, 6)):
            parts = [(rng.randrange(3), "n" * rng.randrange(9), "t" * rng.randrange(9), 7,
                      rng.randrange(1 << 40), rng.randrange(1 << 40))
                     for _ in range(rng.randrange(4))]
            headers = wire.write_headers([("k%d" % j, "v" * rng.randrange(20))
                                          for j in range(rng.randrange(5))])
            entries.append(conftest.request_entry(rng.randrange(1 << 60), parts, batch, 0,
                                                  (4096, 8192), headers))
            batch += rng.randrange(2)
        data = wire.frame(wire.RUN, 77, b"".join(entries), len(entries))
        out = subprocess.run([ECHO], input=data, stdout=subprocess.PIPE, check=True).stdout
        assert out == data
    replies = [wire.reply(1, 200, 1, b"hello", b"text/x", b"OK", wire.write_headers([("a", "b")])),
               wire.granted_reply(2, 500, 1, 4096, 99999)]
    data = wire.frame(wire.CHUNK, 5, b"".join(replies), 2)
    assert subprocess.run([ECHO], input=data, stdout=subprocess.PIPE, check=True).stdout == data
    phases = [wire.phase(0, "worker", 5, 9), wire.phase(1, "handler", 6, 1 << 60),
              wire.phase(2, "a stage\xe4" + "n" * 99, 7, 7)]
    data = wire.frame(wire.TRACE, 5, b"".join(phases), 3)
    assert b"a?stage?nn" in data
    assert subprocess.run([ECHO], input=data, stdout=subprocess.PIPE, check=True).stdout == data
