# SPDX-License-Identifier: Apache-2.0
"""`sconce health`: what a container asks itself."""

import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from e2e.archives import make_mar
from e2e.server import BIN, eventually, free_ports

BROKEN = "def handle(data, context):\n    raise RuntimeError('no weights here')\n"


def health(*arguments, cwd, address=None):
    at = ["--address", address] if address else []
    done = subprocess.run([BIN / "sconce", "health", *at, *arguments], cwd=cwd, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def test_ready_live_and_quiet(serve, tmp_path):
    server = serve()
    address = f"http://127.0.0.1:{server.inference}"
    assert health(cwd=tmp_path, address=address) == (0, "Ready\n", "")
    assert health("--live", cwd=tmp_path, address=address) == (0, "Live\n", "")
    assert health("--quiet", cwd=tmp_path, address=address) == (0, "", "")


def test_it_finds_the_address_in_the_configuration(serve, tmp_path):
    server = serve()
    (tmp_path / "config.properties").write_text(
        f"inference_address=http://127.0.0.1:{server.inference}\n")
    assert health(cwd=tmp_path)[0] == 0


def test_a_model_that_cannot_load_is_named(serve, tmp_path):
    make_mar(tmp_path / "store", "broken", BROKEN)
    server = serve(store=tmp_path / "store", wait=False)
    address = f"http://127.0.0.1:{server.inference}"
    said = eventually(lambda: (seen := health(cwd=tmp_path, address=address)) and
                      "no weights here" in seen[2] and seen, server.complaints)
    assert said[:2] == (1, "") and said[2].startswith("sconce health: broken 1.0: ")
    assert health("--live", cwd=tmp_path, address=address)[0] == 0


@pytest.fixture
def stranger():
    """The address of a server that is not ours: it has none of its pages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_nobody_and_somebody_else(stranger, tmp_path):
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert health(cwd=tmp_path, address=nobody) == (
        3, "", f"sconce health: no answer from {nobody}\n")
    assert health(cwd=tmp_path, address=stranger) == (
        1, "", f"sconce health: {stranger} answered 501: this is no sconce\n")
    assert health("--fast", cwd=tmp_path)[0] == 2
