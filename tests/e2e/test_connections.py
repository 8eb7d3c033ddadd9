# SPDX-License-Identifier: Apache-2.0
"""What one connection does reaches no other request: bodies that look like requests, halves of
heads, clients that leave a stream, clients that come in hundreds."""

import json
import os
import resource
import signal
import socket
import struct
from contextlib import ExitStack

import pytest

from e2e.archives import make_mar
from e2e.client import encode
from e2e.server import eventually, free_ports

HIDDEN = b"DELETE /models/echo HTTP/1.1\r\nHost: h\r\n\r\n"
AFTER = b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"


def fill(store):
    for name in ("echo", "stream", "gate"):
        make_mar(store, name, f"{name}.py")
    return store


@pytest.fixture(scope="module")
def shared(module_serve, module_tmp):
    """Inference and management on one listener, as containers have them."""
    port = free_ports(1)[0]
    address = f"http://127.0.0.1:{port}"
    server = module_serve(store=fill(module_tmp / "store"), inference_address=address,
                          management_address=address, wait=False, header_timeout_ms=300)
    server.inference = server.management = port
    return server.wait_ready()


def resident(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def sanitized(server):
    """Sanitizers keep what was freed for a while."""
    with open(f"/proc/{server.process.pid}/maps", encoding="utf-8") as maps:
        return "libasan" in maps.read()


def known(path, method="POST"):
    return f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(HIDDEN)}\r\n\r\n".encode()


def chunked(path, method="POST"):
    return f"{method} {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


CHUNK = f"{len(HIDDEN):x}\r\n".encode() + HIDDEN + b"\r\n0\r\n\r\n"
EARLY = [(known("/predictions/none"), HIDDEN, 404), (chunked("/predictions/none"), CHUNK, 404),
         (known("/ping", "GET"), HIDDEN, 200), (chunked("/ping", "GET"), CHUNK, 200),
         (known("/models/echo", "PATCH"), HIDDEN, 405), (known("/predictions/%zz"), HIDDEN, 400)]


@pytest.mark.parametrize("split", ["later", "at once", "half", "pipelined"])
@pytest.mark.parametrize("head, body, status", EARLY, ids=range(len(EARLY)))
def test_a_body_is_never_a_request(shared, head, body, status, split):
    """An answer that came before its request was read changes nothing about where that ends."""
    with shared.raw() as raw:
        if split == "later":
            raw.send(head)
            assert raw.response().status == status
            raw.send(body)
        elif split == "half":
            raw.send(head + body[:9])
            assert raw.response().status == status
            raw.send(body[9:])
        else:
            raw.send(head + body + (AFTER if split == "pipelined" else b""))
            assert raw.response().status == status
        if split != "pipelined":
            raw.send(AFTER)
        after = raw.response()
        assert (after.status, json.loads(after.body)["status"]) == (200, "Healthy")
    assert "echo" in shared.models()


def test_half_a_head_behind_a_slow_request_is_refused_once(shared, gate):
    with shared.raw() as raw:
        raw.send(encode("POST", "/predictions/gate", gate.body()) + b"GET /ping HT")
        gate.wait_entered()
        gate.open()
        assert raw.response().status == 200
        assert raw.response().status == 408
        assert raw.ended()
    assert shared.get("/ping").ok


def reset(raw):
    """Closes so that the other side gets a reset."""
    raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_client_that_resets_its_stream_hurts_nobody(shared, tmp_path, pieces):
    """In the first piece, and in the last."""
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    for _ in range(10):
        raw = shared.raw()
        raw.send(encode("POST", "/predictions/stream",
                        json.dumps({"pieces": pieces, "fifo": fifo, "waits": 1})))
        assert raw.head().status == 200
        reset(raw)
        with open(fifo, "wb"):
            pass
    assert shared.predict("echo", "still here").text == "still here"


def test_a_stream_is_not_kept_until_its_end(shared):
    """What was sent is forgotten, so that a long stream costs no more than a short one."""
    make_mar(shared.store, "long", """
from ts.handler_utils.utils import send_intermediate_predict_response

def handle(data, context):
    if data is None:
        return None
    for i in range(2000):
        send_intermediate_predict_response(["x" * 8000], context.request_ids, "", 200, context)
    return ["end"]
""")
    assert shared.register("long.mar", initial_workers=1, synchronous="true").ok
    assert len(shared.predict("long").content) == 16_000_003
    before = resident(shared)
    for _ in range(3):
        assert len(shared.predict("long").content) == 16_000_003
    assert sanitized(shared) or resident(shared) - before < 8_000


def test_clients_that_announce_much_and_send_little_take_no_memory(module_serve, module_tmp):
    server = module_serve(store=fill(module_tmp / "frugal"), memory_budget="16m",
                          max_request_size="8m")
    slow = [server.raw() for _ in range(10)]
    for raw in slow:
        raw.send(b"POST /predictions/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 6000000\r\n\r\nab")
    eventually(lambda: server.metric("sconce_memory_used_bytes") > 0, "bodies begin")
    big = os.urandom(4_000_000)
    assert server.predict("echo", big).content == big
    slow[0].send(b"c" * 5_999_998)
    assert slow[0].response().body == b"ab" + b"c" * 5_999_998
    for raw in slow:
        raw.close()
    eventually(lambda: server.metric("sconce_memory_used_bytes") == 0, "all is free")


@pytest.mark.parametrize("framing", ["Content-Length: 6000000", "Transfer-Encoding: chunked"])
def test_clients_that_only_announce_take_next_to_nothing(serve, tmp_path, framing):
    server = serve(store=fill(tmp_path / "store"), memory_budget="16m", max_request_size="8m")
    silent = [server.raw() for _ in range(400)]
    for raw in silent:
        raw.send(f"POST /predictions/echo HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n")
    eventually(lambda: server.metric("sconce_memory_used_bytes") >= 400 * 1024, "all have begun")
    assert server.metric("sconce_memory_used_bytes") <= 1 << 20
    big = os.urandom(4_000_000)
    assert server.predict("echo", big).content == big
    for raw in silent:
        raw.close()
    eventually(lambda: server.metric("sconce_memory_used_bytes") == 0, "all is free")


def test_answers_that_nobody_takes_are_bounded(serve, tmp_path):
    """A description of 19 kB is answered to 30 bytes: thousands of them wait for clients that take
    none. Nor do they keep the loop, for seconds."""
    server = serve(store=fill(tmp_path / "store"), memory_budget="16m", max_request_size="8m",
                   loop_stall_warning_ms=500)
    before = resident(server)
    with ExitStack() as stack:
        deaf = [stack.enter_context(server.raw(receive_buffer=4096)) for _ in range(1500)]
        for raw in deaf:
            raw.send(b"OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n" * 100)
        eventually(lambda: server.metric("sconce_memory_refused_total") > 0, "there is no more")
        assert sanitized(server) or resident(server) - before < 100_000
        assert server.manage("GET", "/models").status_code == 200
        assert deaf[0].response().status == 200
    eventually(lambda: server.metric("sconce_memory_used_bytes") == 0, "all is free")


# ---- descriptors ----

def limit_of(pid):
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        return next(line.split()[3:5] for line in f if line.startswith("Max open files"))


def test_the_limit_of_open_files_is_raised_for_us_and_not_for_handlers(serve, tmp_path):
    server = serve(store=fill(tmp_path / "store"), files=(64, 4000))
    assert limit_of(server.process.pid) == ["4000", "4000"]
    assert limit_of(server.worker_pids("echo")[0]) == ["64", "4000"]
    server.said("there will be 2000 connections at most")


def test_children_get_as_many_files_as_they_cannot_do_without(serve, tmp_path):
    server = serve(store=fill(tmp_path / "store"), files=(24, 4000))
    assert limit_of(server.worker_pids("echo")[0]) == ["64", "4000"]


def test_a_limit_of_open_files_with_which_nothing_works(serve, tmp_path):
    server = serve(store=fill(tmp_path / "store"), files=(24, 24), wait=False)
    assert server.wait() == 1
    server.ended = True
    assert ("sconce: cannot start: no more than 24 files may be open here, 128 are needed at "
            "least. Raise the limit (ulimit -Hn, LimitNOFILE)\n") in server.console


@pytest.mark.parametrize("files", [(300, 300), (64, 2000)])
def test_one_client_does_not_take_every_descriptor(serve, tmp_path, files):
    """Whoever opens as many connections as it can gets no more than its share: others are served,
    workers are replaced."""
    server = serve(store=fill(tmp_path / "store"), files=files)
    before = server.worker_pids("echo")
    with ExitStack() as stack:
        held = [stack.enter_context(server.raw()) for _ in range(300)]
        assert held[0].request("GET", "/livez").status == 200
        assert server.manage("GET", "/models").status_code == 200
        os.kill(before[0], signal.SIGKILL)
        eventually(lambda: server.worker_pids("echo") not in ([], before), "another worker")
        assert held[1].request("POST", "/predictions/echo", b"x").body == b"x"


def test_who_cannot_be_accepted_waits(serve, tmp_path):
    server = serve(store=fill(tmp_path / "store"))
    with server.raw() as first:
        assert first.request("GET", "/livez").status == 200
        before = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (10, 20000))
        with server.raw() as second:
            eventually(lambda: "No connection can be accepted: too many open files"
                       in server.console, "a line")
            assert first.request("GET", "/livez").status == 200
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)
            assert second.request("GET", "/livez").status == 200
    assert server.metric("sconce_accept_failures_total") >= 1
