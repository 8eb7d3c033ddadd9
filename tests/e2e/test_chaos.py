# SPDX-License-Identifier: Apache-2.0
"""Everything goes wrong at once; every request is still answered, with its own answer."""

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from e2e import rogue_worker
from e2e.archives import make_mar
from e2e.client import Broken, Raw, encode
from e2e.gate import background
from e2e.server import PYTHON, assert_error, eventually, status_text
from e2e.test_native import make_model

CLIENTS = 16
HEALTHY = status_text("Healthy")


class Load:
    """Clients that send unique bodies on kept connections until they are told to stop."""

    def __init__(self, server, path="/predictions/echo", clients=CLIENTS, headers=()):
        self.port, self.path, self.headers = server.inference, path, headers
        self.over = threading.Event()
        self.lost, self.mixed = [], []
        self.answered = [0] * clients
        self.threads = [threading.Thread(target=self._client, args=(i,), daemon=True)
                        for i in range(clients)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join(60)
        assert not any(t.is_alive() for t in self.threads), "a request hangs"

    def total(self):
        return sum(self.answered)

    def wait_for(self, more):
        goal = self.total() + more
        eventually(lambda: self.total() >= goal or self.lost or self.mixed, f"{goal} answers", 60)

    def check(self):
        assert (self.lost[:5], self.mixed[:5]) == ([], [])
        assert min(self.answered) > 0

    def _client(self, i):
        raw = None
        while not self.over.is_set():
            body = f"client {i} call {self.answered[i]} ".encode() * (1 + self.answered[i] % 300)
            try:
                raw = raw or Raw(self.port)
                answer = raw.request("POST", self.path, body, self.headers)
            except (OSError, Broken) as e:
                self.lost.append((i, repr(e)))
                raw = None
                continue
            if answer.status != 200:
                self.lost.append((i, answer.status, answer.text[:200]))
            elif answer.body != body:
                self.mixed.append((i, answer.body[:60], body[:60]))
            self.answered[i] += 1
            if (answer.header("connection") or "").lower() == "close":
                raw.close()
                raw = None


def try_kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


@pytest.mark.parametrize("batch", [1, 8])
def test_workers_are_killed_under_load(serve, tmp_path, batch):
    make_mar(tmp_path, "echo", "echo.py", config=(
        f"minWorkers: 4\nmaxWorkers: 4\nbatchSize: {batch}\nmaxBatchDelay: 5\n"))
    server = serve(store=tmp_path, job_queue_size=1000)
    killed, interval = 0, threading.Event()
    with Load(server) as load:
        for _ in range(12):
            pids = server.worker_pids("echo")
            killed += bool(pids) and try_kill(pids[killed % len(pids)])
            interval.wait(0.2)
        load.wait_for(200)
    load.check()
    assert killed >= 6
    assert server.metric("sconce_worker_restarts_total", model_name="echo") >= killed - 1


def test_native_workers_are_killed_under_load(serve, tmp_path):
    """All instances of a model at once, for they are one process."""
    make_model(tmp_path, "echo", config="minWorkers: 4\nmaxWorkers: 4\n")
    server = serve(store=tmp_path, job_queue_size=1000)
    killed = 0
    with Load(server, headers=[("Accept", "application/octet-stream")]) as load:
        while killed < 4:
            pids = server.worker_pids("echo")
            killed += bool(pids) and try_kill(pids[0])
            load.wait_for(50)
    load.check()
    assert server.metric("sconce_worker_restarts_total", model_name="echo") >= killed - 1


def test_model_is_replaced_and_scaled_under_load(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py", file="echo-1.mar", version="1.0")
    make_mar(tmp_path, "echo", "echo.py", file="echo-2.mar", version="2.0")
    server = serve(store=tmp_path, load_models="echo-1.mar", job_queue_size=1000)

    def ok(response):
        assert response.status_code == 200, response.text
    old, new = "1.0", "2.0"
    with Load(server) as load:
        for _ in range(4):
            load.wait_for(50)
            ok(server.register(f"echo-{new[0]}.mar", initial_workers=1))
            ok(server.manage("PUT", f"/models/echo/{new}/set-default"))
            ok(server.manage("DELETE", f"/models/echo/{old}"))
            for workers in (3, 1, 2):
                load.wait_for(20)
                ok(server.manage("PUT", f"/models/echo?min_worker={workers}&synchronous=true"))
            old, new = new, old
        load.wait_for(50)
    load.check()


def test_idle_and_slow_connections_hurt_nobody(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path)
    others = [server.raw() for _ in range(550)]
    slow, rest = others[:50], {}
    try:
        for i, raw in enumerate(slow):
            whole = encode("POST", "/predictions/echo", f"slow {i} " * 20)
            raw.send(whole[:20 + 3 * i])
            rest[raw] = whole[20 + 3 * i:]
        with Load(server) as load:
            load.wait_for(500)
            for raw, data in rest.items():
                for at in range(0, len(data), 50):
                    raw.send(data[at:at + 50])
            for i, raw in enumerate(slow):
                assert raw.response().text == f"slow {i} " * 20
        load.check()
        for raw in others[50:]:
            assert raw.request("GET", "/ping").text == HEALTHY
    finally:
        for raw in others:
            raw.close()


# ---- workers that lie ----

def rogue_python(tmp_path):
    """An interpreter that is one, except where it is asked to be a worker."""
    path = tmp_path / "python-of-a-rogue"
    path.write_text(f'#!/bin/sh\ncase "$*" in\n*sconce.worker*) exec {sys.executable} '
                    f'{Path(rogue_worker.__file__)};;\n*) exec {PYTHON} "$@";;\nesac\n')
    path.chmod(0o755)
    return path


def rogue_server(serve, tmp_path, lie):
    make_mar(tmp_path / "store", "lied", "echo.py")
    honest = tmp_path / "honest"
    environment = {"SCONCE_E2E_LIE": lie, "SCONCE_E2E_HONEST": str(honest)}
    server = serve(store=tmp_path / "store", python=rogue_python(tmp_path), zygote="off",
                   environment=environment)
    return server, honest


@pytest.mark.parametrize("lie", rogue_worker.LIES)
def test_worker_that_lies(serve, tmp_path, lie):
    server, honest = rogue_server(serve, tmp_path, lie)
    answer = background(server.predict, "lied", b"x")
    eventually(lambda: "Killing the worker: " in server.log("ts_log.log"))
    honest.touch()
    answer = answer.result()
    if lie == "twice":
        assert answer.status_code == 200    # the first of the two was true
    else:
        assert answer.status_code in (200, 500), answer.text
    assert "x-evil" not in answer.headers
    assert server.predict("lied", b"x").text == "true"
    killing = "Killing the worker: "
    reason = server.logged("ts_log.log", killing).split(killing)[1].splitlines()[0]
    assert reason.startswith(("it ", "its ")), reason


@pytest.mark.parametrize("mistake", rogue_worker.MISTAKES)
def test_what_http_cannot_say_fails_one_request(serve, tmp_path, mistake):
    server, _ = rogue_server(serve, tmp_path, mistake)
    pids = server.worker_pids("lied")
    for _ in range(2):
        assert_error(server.predict("lied", b"x"), 500, "InternalServerException",
                     "The handler's answer cannot be sent: its status, content type or a header "
                     "is none of HTTP's.")
    assert server.worker_pids("lied") == pids, "the worker must survive this"


@pytest.mark.parametrize("lie", rogue_worker.ODDITIES)
def test_worker_that_is_odd_but_harmless(serve, tmp_path, lie):
    server, _ = rogue_server(serve, tmp_path, lie)
    for _ in range(3):
        assert server.predict("lied", b"x").text == "true"
    assert "Killing the worker" not in server.log("ts_log.log")
    assert not any(line.startswith("forged") for line in server.log("model_log.log").splitlines())


# ---- poison, memory, clients that leave ----

def test_poisonous_requests_fail_alone_under_load(serve, tmp_path):
    make_mar(tmp_path, "trouble", "trouble.py",
             config="minWorkers: 2\nmaxWorkers: 2\nbatchSize: 4\nmaxBatchDelay: 5\n")
    server = serve(store=tmp_path, job_queue_size=1000)
    with Load(server, "/predictions/trouble", clients=8) as load:
        for _ in range(3):
            load.wait_for(50)
            assert_error(server.predict("trouble", "abort"), 500, "InternalServerException",
                         "Worker died.")
        load.wait_for(50)
    load.check()


def test_memory_budget_is_a_budget(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path, memory_budget=128 << 20, pool_segment_size=16 << 20,
                   max_request_size=30_000_000, max_response_size=1_000_000)
    holding = background(server.predict, "gate", gate.body())
    gate.wait_entered()
    # A body that is on its way holds what has come of it; none of these is finished.
    connections = [server.raw() for _ in range(12)]
    refused = 0
    try:
        for raw in connections:
            raw.send(encode("POST", "/predictions/gate", headers={"Content-Length": 25_000_000}))
            with contextlib.suppress(OSError):
                raw.send(b"x" * 24_000_000)
        for raw in connections:
            raw.sock.settimeout(1)
            try:
                refused += raw.response().status in (503, 413)
            except (TimeoutError, Broken):
                pass
        assert 0 < refused < len(connections)
        assert server.get("/ping").text == HEALTHY
    finally:
        for raw in connections:
            raw.close()
    gate.open()
    assert holding.result().status_code == 200
    eventually(lambda: server.predict("echo", b"y" * 900_000).content == b"y" * 900_000)


def test_slow_readers_take_no_memory_of_others(serve, tmp_path):
    """Each holds an answer of 6 MB in its worker's memory."""
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path, memory_budget=256 << 20)
    slow = [server.raw() for _ in range(6)]
    try:
        for raw in slow:
            raw.send(encode("POST", "/predictions/echo", b"s" * 6_000_000))
            assert raw.sock.recv(12) == b"HTTP/1.1 200"
        for size in (10_000, 1_000_000, 6_000_000):
            assert server.predict("echo", b"y" * size).content == b"y" * size
    finally:
        for raw in slow:
            raw.close()


def test_clients_that_leave_in_the_middle_of_a_body(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path, memory_budget=256 << 20)
    with Load(server, clients=4) as load:
        for i in range(200):
            with server.raw() as raw:
                raw.send(encode("POST", "/predictions/echo", headers={"Content-Length": 6_000_000})
                         + b"x" * (i * 1000))
        load.wait_for(50)
    load.check()
    assert server.predict("echo", b"z" * 6_000_000).content == b"z" * 6_000_000


def test_clients_that_leave_while_they_wait_are_not_served(serve, tmp_path, gate):
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path)
    first = background(server.predict, "gate", gate.body(tag="first"))
    gate.wait_entered()
    leaving = [server.raw() for _ in range(20)]
    for i, raw in enumerate(leaving):
        raw.send(encode("POST", "/predictions/gate", gate.body(tag=f"left {i}", fifo="")))
    eventually(lambda: server.metric("sconce_queue_depth", model_name="gate") == 20)
    for raw in leaving:
        raw.close()
    eventually(lambda: server.metric("sconce_requests_cancelled_total", model_name="gate") == 20)
    gate.open()
    assert first.result().status_code == 200
    assert server.predict("gate", gate.body(tag="last", fifo="")).json()["tag"] == "last"
    assert gate.entries() == ["first", "last"]


def test_clients_that_leave_before_their_answer(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py", config="minWorkers: 2\nmaxWorkers: 2\nbatchSize: 4\n")
    server = serve(store=tmp_path, job_queue_size=1000)
    body = b"x" * 300_000
    with Load(server, clients=4) as load:
        for i in range(150):
            with server.raw() as raw:
                raw.send(encode("POST", "/predictions/echo", body))
                if i % 3 == 0:
                    raw.sock.recv(100)
        load.wait_for(50)
    load.check()
    eventually(lambda: server.metric("sconce_queue_depth", model_name="echo") == 0)


def test_many_models_come_and_go(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    make_mar(tmp_path, "bad_init", "bad_init.py")
    server = serve(store=tmp_path, load_models="echo.mar")

    def come_and_go(i):
        for j in range(4):
            name = f"m{i}_{j}"
            assert server.register("echo.mar", model_name=name,
                                   initial_workers=1).status_code == 200
            assert server.predict(name, name).text == name
            assert server.manage("DELETE", f"/models/{name}").status_code == 200
            assert server.register("bad_init.mar", model_name=f"b{i}_{j}",
                                   initial_workers=1).status_code == 500
    with Load(server, clients=4) as load:
        jobs = [background(come_and_go, i) for i in range(4)]
        for job in jobs:
            job.result(60)
    load.check()
    eventually(lambda: server.models() == ["echo"])
    eventually(lambda: len(server.unpacked()) == 1)


def test_output_flood_does_not_stop_the_server(serve, tmp_path):
    make_mar(tmp_path, "flood", '''
import sys


def handle(data, context):
    if data is None:
        return None
    for i in range(20000):
        print("line", i, "x" * 50)
    sys.stdout.flush()
    return ["done" for _ in data]
''')
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path)
    with Load(server, clients=4) as load:
        assert server.predict("flood", json.dumps({})).text == "done"
        load.wait_for(20)
    load.check()
