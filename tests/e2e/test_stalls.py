# SPDX-License-Identifier: Apache-2.0
"""The loop never blocks: what takes long is done elsewhere.

Every other test is a test of this, too: its servers warn of each turn above STALL_MS, and fail it
for those that Server.stalls() blames.
"""

import re
import select

import pytest

from e2e.archives import make_mar
from e2e.client import encode
from e2e.gate import background
from e2e.server import STALL_MS, eventually

FILES = 20_000    # some 300 ms to remove


def turns(server):
    """How many the server has made, and its histogram."""
    text = server.metrics_text()
    buckets = re.findall(r'^sconce_loop_stall_seconds_bucket\{le="([^"]+)",\} (\S+)$', text, re.M)
    count, = re.findall(r"^sconce_loop_stall_seconds_count (\S+)$", text, re.M)
    return float(count), {bound: float(n) for bound, n in buckets}


def test_every_turn_is_measured(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path)
    before, _ = turns(server)
    for _ in range(10):
        assert server.predict("echo", b"x").content == b"x"
    count, buckets = turns(server)
    assert count >= before + 20      # each had at least one for its call and one for its answer
    assert buckets["+Inf"] == count
    assert buckets["1.0"] == count


def test_a_model_of_many_files_goes_without_anybody_waiting(serve, tmp_path):
    files = {f"data/{i % 100}/{i}": b"" for i in range(FILES)}
    make_mar(tmp_path / "store", "many", "echo.py", files=files)
    make_mar(tmp_path / "store", "echo", "echo.py")
    server = serve(store=tmp_path / "store")
    unregistering = background(server.manage, "DELETE", "/models/many")
    while not unregistering.done():
        assert server.predict("echo", b"x").status_code == 200
    assert unregistering.result().status_code == 200
    assert not list((server.root / "tmp").glob("models/*/*/data/*")), "removed when it is answered"
    assert server.register("many.mar", initial_workers=1).status_code == 200
    assert not server.stalls(), f"a turn of more than {STALL_MS} ms"


def test_registrations_of_very_many_words_keep_nobody_waiting(serve):
    """Several at once: each is read while nobody else is served."""
    server = serve()
    body = b"{" + b"t:t," * 16_000 + b'"url": "none.mar"}'
    headers = {"Content-Type": "application/json"}
    answers = [background(lambda: server.manage("POST", "/models", data=body, headers=headers))
               for _ in range(16)]
    assert {a.result().status_code for a in answers} <= {400, 404}
    assert not server.stalls(), f"a turn of more than {STALL_MS} ms"


FORM = "application/x-www-form-urlencoded"
MANY = 20_000_000    # what looking through it takes is told at once: a fifth of a second and more


BOUNDARY = "-" * 60 + "B"
NEAR = (b"--%s\r\nContent-Disposition: form-data; name=a\r\n\r\n" % BOUNDARY.encode() + b"x" +
        b"-" * MANY + b"\r\n--%s--\r\n" % BOUNDARY.encode())


@pytest.mark.parametrize("kind,body,length", [
    (FORM, b"a=" + b"%41" * MANY, MANY),
    (FORM, b"a=" + b"x" * MANY + b"&" * MANY, MANY),
    (f"multipart/form-data; boundary={BOUNDARY}", NEAR, MANY + 1),
], ids=["escapes", "separators", "multipart"])
def test_large_forms_are_read_without_anybody_waiting(serve, tmp_path, kind, body, length):
    make_mar(tmp_path, "see", "see.py")
    server = serve(store=tmp_path, max_request_size="64m", loop_stall_warning_ms=150)
    answer = background(lambda: server.predict("see", body, headers={"Content-Type": kind}))
    with server.raw() as raw:
        for _ in range(50):
            assert raw.request("GET", "/livez").status == 200
    assert answer.result().json()["fields"] == [["a", "bytearray", length]]


def used(server):
    return server.metric("sconce_memory_used_bytes")


def test_a_client_that_leaves_while_its_form_is_read(serve, tmp_path):
    make_mar(tmp_path, "see", "see.py")
    server = serve(store=tmp_path, max_request_size="64m")
    for _ in range(3):
        with server.raw() as raw:
            raw.send(f"POST /predictions/see HTTP/1.1\r\nHost: h\r\nContent-Type: {FORM}\r\n"
                     f"Content-Length: {MANY}\r\n\r\n".encode() + b"&" * MANY)
            eventually(lambda r=raw: used(server) >= MANY or select.select([r.sock], [], [], 0)[0],
                       "it is there, or was read in the meantime")
    eventually(lambda: used(server) == 0, "all is free")
    assert server.predict("see", b"a=1", headers={"Content-Type": FORM}).ok


def test_a_stop_while_a_form_is_read(serve, tmp_path):
    make_mar(tmp_path, "see", "see.py")
    server = serve(store=tmp_path, max_request_size="64m")
    answer = background(lambda: server.predict("see", b"a=1" + b"&" * MANY,
                                               headers={"Content-Type": FORM}))
    eventually(lambda: used(server) >= MANY or answer.done(), "it is there, or was read already")
    server.stop()
    assert answer.result().json()["fields"] == [["a", "bytearray", "1"]]


LOADS_LATE = """
class Handler:
    def initialize(self, context):
        with open(context.model_yaml_config["fifo"]) as fifo:
            fifo.read()

    def handle(self, data, context):
        return ["ok" for _ in data]
"""


def many_sequences(serve, tmp_path, gate):
    """A server where each of 8,000 requests has begun one, and waits while the worker loads."""
    clients, each = 8, 1000
    make_mar(tmp_path / "store", "late", LOADS_LATE,
             config=f"batchSize: 64\nsequenceBatching: true\nsequenceMaxIdleMSec: 60000\n"
                    f"maxNumSequence: {clients * each}\nfifo: {gate.fifo}\n")
    server = serve(store=tmp_path / "store", wait=False, max_pipelined=1024, memory_budget="1g")
    eventually(lambda: server.knows("late"))
    raws = [server.raw() for _ in range(clients)]
    for raw in raws:
        raw.send(encode("POST", "/predictions/late", b"1") * each)
    eventually(lambda: server.metric("sconce_queue_depth", model_name="late") == clients * each)

    def statuses():
        found = {raw.response().status for raw in raws for _ in range(each)}
        for raw in raws:
            raw.close()
        return found
    return server, statuses


def test_very_many_sequences_find_their_worker_at_once(serve, tmp_path, gate):
    _, statuses = many_sequences(serve, tmp_path, gate)
    gate.open()
    assert statuses() == {200}


def test_very_many_sequences_are_refused_at_once(serve, tmp_path, gate):
    server, statuses = many_sequences(serve, tmp_path, gate)
    assert server.manage("PUT", "/models/late?min_worker=0&max_worker=0").status_code == 202
    assert statuses() == {503}
