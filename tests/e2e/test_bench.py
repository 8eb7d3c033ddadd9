# SPDX-License-Identifier: Apache-2.0
"""`sconce bench`: load from a closed and an open loop, and what is told of it.

Nothing here depends on how fast the machine is: counts are compared, and times only with each
other."""

import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from e2e.archives import make_mar
from e2e.server import BIN, eventually, free_ports

FLAKY = """
import itertools
from ts.utils.util import PredictionException
calls = itertools.count()

def handle(data, context):
    if data is None:
        return None
    if next(calls) % 2:
        raise PredictionException("no", 418)
    return ["yes" for _ in data]
"""


@pytest.fixture(scope="module")
def server(module_serve):
    s = module_serve(load_models=None)
    for name, handler in (("echo", "echo.py"), ("flaky", FLAKY), ("gate", "gate.py"),
                          ("stream", "stream.py")):
        s.register(make_mar(s.store, name, handler).name, initial_workers=1)
    return s


@pytest.fixture
def bench(server, tmp_path):
    (tmp_path / "body").write_bytes(b"x" * 1000)

    def run(*arguments, address=f"http://127.0.0.1:{server.inference}"):
        done = subprocess.run([str(BIN / "sconce"), "bench", *arguments, "--address", address],
                              cwd=tmp_path, capture_output=True, text=True, timeout=60,
                              check=False)
        return done.returncode, done.stdout, done.stderr
    return run


def figures(done):
    code, output, complaints = done
    assert (code, complaints) == (0, ""), complaints
    return json.loads(output)


def test_closed_loop(bench, server):
    """What it counts is what the server counts, with the first call and the warm-up."""
    told = figures(bench("echo", "body", "-c", "4", "-s", "0.5", "--warm-up", "0", "--json"))
    assert told["statuses"] == {"200": told["requests"]}
    assert (told["failed"], told["unanswered"], told["lost"], told["late"]) == (0, 0, 0, 0)
    assert told["requests"] >= 4
    assert 0 < told["p50_ms"] <= told["p90_ms"] <= told["p99_ms"] <= told["max_ms"]
    assert told["rate"] * told["seconds"] == pytest.approx(told["requests"], rel=0.01)


def test_open_loop(bench):
    """As many as were due, whatever becomes of them."""
    told = figures(bench("echo", "body", "--rate", "100", "-s", "1", "--warm-up", "0.1", "--json"))
    assert told["requests"] == 100
    assert told["rate"] <= 100


def test_for_people(bench):
    code, output, announced = bench("echo", "body", "-c", "2", "-s", "0.2", "--warm-up", "0.1")
    assert code == 0
    assert announced == ("POST /predictions/echo, 1000 bytes: 2 clients for 0.2 s after 0.1 s to "
                         "warm up\n")
    assert re.fullmatch(
        r"throughput  [\d.]+ answers/s \(\d+ in [\d.]+ s\)\n"
        r"latency     p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms\n", output), output


def test_errors_by_status(bench, server):
    def next_is_good():
        return server.predict("flaky").status_code == 418

    eventually(next_is_good, "every second one fails")
    code, output, _ = bench("flaky", "body", "-s", "0.3", "--json")
    told = json.loads(output)
    assert code == 1
    assert set(told["statuses"]) == {"200", "418"}
    assert told["failed"] == told["statuses"]["418"] > 0
    eventually(next_is_good, "every second one fails")
    code, output, _ = bench("flaky", "body", "-s", "0.3")
    assert re.search(r"^errors      \d+ with status 418$", output, re.M), output


def test_the_first_call_tells_what_is_wrong(bench):
    code, output, complaints = bench("nothing", "body")
    assert (code, output) == (1, "")
    assert complaints.startswith("sconce bench: error: Model not found: nothing\n")
    port, = free_ports(1)
    assert bench("echo", "body", address=f"http://127.0.0.1:{port}")[0] == 3
    assert bench("echo", "body", "--rate", "-1")[0] == 2
    assert bench("echo", "body", "-c", "2", "--rate", "5")[0] == 2


def test_streams(bench, tmp_path):
    """An answer in chunks is one answer."""
    (tmp_path / "wish").write_text('{"pieces": 3}')
    told = figures(bench("stream", "wish", "-s", "0.3", "--json"))
    assert set(told["statuses"]) == {"200"}


class Fake:
    """A server that answers as it is told, one connection at a time."""

    def __init__(self, answers):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.answers = answers
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        for answer in self.answers:
            peer, _ = self.listener.accept()
            with peer:
                asked = b""
                while not asked.endswith(b"x" * 1000):
                    asked += peer.recv(65536)
                peer.sendall(answer)
        self.listener.close()


ONCE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"


def test_lost_and_closed_connections(bench):
    """An answer may end with its connection; a connection without one is counted."""
    answers = [ONCE, ONCE, b"", ONCE, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"]
    fake = Fake(answers + [ONCE])
    code, output, _ = bench("any", "body", "--rate", "10", "--connections", "1", "-s", "0.5",
                            "--warm-up", "0", "--json", address=fake.address)
    told = json.loads(output)
    assert code == 1
    assert told["statuses"] == {"200": 3}
    assert told["lost"] == 2


def test_errors_do_not_make_it_look_fast(bench):
    """Only good answers have a throughput and a latency."""
    busy = b"HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\n"
    few = ("any", "body", "--rate", "10", "--connections", "1", "-s", "0.5", "--warm-up", "0")
    code, output, _ = bench(*few, address=Fake([ONCE] + 5 * [busy]).address)
    assert code == 1 and output.startswith("throughput  0.0 answers/s (0 in ")
    assert "\nerrors      5 with status 503\n" in output and "latency  " not in output
    code, output, _ = bench(*few, "--json", address=Fake([ONCE, ONCE] + 4 * [busy]).address)
    told = json.loads(output)
    assert (told["requests"], told["failed"]) == (5, 4)
    assert told["p50_ms"] == told["max_ms"] > 0


def test_a_server_that_goes_away(bench):
    """What is asked of nobody is counted, too, and it ends in time."""
    fake = Fake([ONCE])
    code, output, _ = bench("any", "body", "--rate", "20", "-s", "0.5", "--warm-up", "0",
                            "--json", address=fake.address)
    told = json.loads(output)
    assert (code, told["requests"], told["lost"]) == (1, 0, 10)


def test_what_is_never_answered(bench):
    """A limit ends the wait, and it counts as no answer."""
    silent = socket.create_server(("127.0.0.1", 0))

    def answer_once():
        peer, _ = silent.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(ONCE)

    thread = threading.Thread(target=answer_once, daemon=True)
    thread.start()
    with silent:
        code, output, _ = bench("any", "body", "--rate", "10", "-s", "0.3", "--warm-up", "0",
                                "--timeout", "0.2", "--json",
                                address="http://127.0.0.1:%d" % silent.getsockname()[1])
    assert code == 1
    assert json.loads(output)["unanswered"] == 3


def test_interrupted(server, tmp_path):
    """Ctrl-C ends it, and what was measured is told."""
    (tmp_path / "body").write_text("x")
    before = len(server.log("access_log.log").splitlines())
    with subprocess.Popen([str(BIN / "sconce"), "bench", "echo", "body", "-s", "3600", "--json",
                           "--warm-up", "0", "--address", f"http://127.0.0.1:{server.inference}"],
                          cwd=tmp_path, stdout=subprocess.PIPE) as process:
        eventually(lambda: len(server.log("access_log.log").splitlines()) > before + 50, "load")
        os.kill(process.pid, signal.SIGINT)
        told = json.loads(process.communicate(timeout=30)[0])
    assert told["requests"] > 0
    assert told["failed"] == 0
