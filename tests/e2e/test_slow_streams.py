# SPDX-License-Identifier: Apache-2.0
"""Streams that are larger than what may be on its way, and echoes of what cannot be sent."""

import contextlib
import os
import threading

import pytest

from e2e.archives import make_mar
from e2e.client import encode
from e2e.gate import background
from e2e.server import eventually

STREAM = """
from ts.handler_utils.utils import send_intermediate_predict_response as send
def pieces(data, context):
    for row in data:
        if bytes(row["body"]) == b"short":
            continue
        for i in range(int(row["body"])):
            send([bytes([65 + i % 26]) * 200000] * len(data), context.request_ids, "", 200, context)
"""
FUNCTION = STREAM + """
def handle(data, context):
    if data is None:
        return None
    pieces(data, context)
    return ["end"] * len(data)
"""
COROUTINE = STREAM + """
import asyncio
async def handle(data, context):
    if data is None:
        return None
    await asyncio.get_running_loop().run_in_executor(None, pieces, data, context)
    return ["end"] * len(data)
"""
ECHO = """
import json
def handle(data, context):
    if data is None:
        return None
    for i, row in enumerate(data):
        header = context.get_request_header(i, "X-Echo")
        if header:
            context.set_response_header(i, "X-Back", json.loads(header))
    return [row["body"]["text"] for row in data]
"""


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    for name, handler in (("function", FUNCTION), ("coroutine", COROUTINE), ("echo", ECHO)):
        make_mar(store, name, handler, config="minWorkers: 1\nmaxWorkers: 1\n")
    return module_serve(store=store)


@pytest.fixture(scope="module")
def hurried(module_serve, module_tmp):
    store = module_tmp / "hurried"
    for name, handler in (("function", FUNCTION), ("coroutine", COROUTINE)):
        make_mar(store, name, handler, config="minWorkers: 1\nmaxWorkers: 1\n")
    return module_serve(store=store, default_response_timeout=1)


@pytest.mark.parametrize("model", ["function", "coroutine"])
def test_a_long_stream_to_a_client_that_is_late(server, model):
    pid = server.worker_pids(model)
    with server.raw() as raw:
        raw.send(encode("POST", f"/predictions/{model}", "60"))
        if model == "coroutine":     # while nobody reads that one
            assert server.predict(model, "short").text == "end"
        raw.head()
        body = b"".join(iter(raw.chunk, b""))
    assert body == b"".join(bytes([65 + i % 26]) * 200000 for i in range(60)) + b"end"
    assert server.worker_pids(model) == pid


@pytest.mark.parametrize("model", ["function", "coroutine"])
def test_a_trickling_client_does_not_keep_the_worker(hurried, model):
    """It always takes some, and never enough."""
    pid = hurried.worker_pids(model)
    done = threading.Event()

    def trickle():
        taken = 0
        try:
            while not done.wait(0.05):
                taken += len(raw.sock.recv(2048))
        except OSError:
            pass
        return taken

    with hurried.raw(receive_buffer=4096) as raw:
        raw.send(encode("POST", f"/predictions/{model}", "300"))
        raw.head()
        trickling = background(trickle)
        answer = hurried.predict(model, "short")
        if model == "coroutine":     # it has its own loop: only its place would be lost
            eventually(lambda: "takes its stream too slowly" in hurried.log("ts_log.log"))
        done.set()
        assert trickling.result() < 1 << 20
    assert answer.text == "end" and hurried.worker_pids(model) == pid


def test_echoes_that_cannot_be_sent_cost_no_worker(server):
    pid = server.worker_pids("echo")
    stop = threading.Event()
    good = []

    def ask():
        while not stop.is_set():
            good.append(server.predict("echo", '{"text": "fine"}',
                                       headers={"Content-Type": "application/json"}).text)

    others = background(ask)
    for body, header in (('{"text": "\\ud800"}', ""), ('{"text": "x"}', '"a\\r\\nb"'),
                         ('{"text": "x"}', '"\\ud800"')) * 5:
        answer = server.predict("echo", body, headers={
            "Content-Type": "application/json", "X-Echo": header})
        assert answer.status_code == 500 and "cannot be sent" in answer.text
    stop.set()
    others.result()
    assert set(good) == {"fine"} and server.worker_pids("echo") == pid


LARGE = """
def handle(data, context):
    return data and [b"x" * int(row["body"]) for row in data]
"""


def kept(server):
    """Bytes of reply memory that the system has given."""
    folder, total = f"/proc/{server.process.pid}/fd", 0
    for fd in os.listdir(folder):
        with contextlib.suppress(OSError):    # it has been closed meanwhile
            if "sconce-outbound" in os.readlink(f"{folder}/{fd}"):
                total += os.stat(f"{folder}/{fd}").st_blocks * 512
    return total


def test_what_slow_clients_leave_behind_is_bounded(serve, tmp_path):
    """However many workers have had answers for the whole budget."""
    for i in range(4):
        make_mar(tmp_path, f"large{i}", LARGE, config="minWorkers: 1\nmaxWorkers: 1\n")
    server = serve(store=tmp_path, memory_budget="128m")
    for i in range(4):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.raw(receive_buffer=4096)) for _ in range(14)]
            for raw in clients:
                raw.send(encode("POST", f"/predictions/large{i}", "6500000"))
            for raw in clients:
                raw.head()
        eventually(lambda: server.metric("sconce_memory_used_bytes") == 0, "all have left")
    eventually(lambda: kept(server) <= 36 << 20, lambda: f"{kept(server)} bytes are kept", 3)
