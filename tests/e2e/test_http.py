# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as bytes on a socket: what is allowed works, what is not harms nobody else."""

import os
import re

import pytest

from e2e.archives import make_mar
from e2e.client import Broken, Raw, encode, encode_chunked
from e2e.gate import background
from e2e.server import assert_error, eventually, status_text

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
HEALTHY = status_text("Healthy")
LIMIT = 100_000
HEAD_LIMIT = 4096


def fill(store):
    for name in ("echo", "gate", "stream", "trouble"):
        make_mar(store, name, f"{name}.py")


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    fill(module_tmp / "store")
    return module_serve(store=module_tmp / "store", max_request_size=LIMIT,
                        max_header_size=HEAD_LIMIT, max_headers=20, max_pipelined=8,
                        cors_allowed_origin="https://a.example", cors_allowed_methods="GET, POST",
                        cors_allowed_headers="X-Custom")


@pytest.fixture(scope="module")
def hasty(module_serve, module_tmp):
    """A server that soon loses patience, with few places."""
    fill(module_tmp / "store")
    return module_serve(store=module_tmp / "store", header_timeout_ms=300, body_timeout_ms=300,
                        idle_timeout_ms=300, write_timeout_ms=300, max_connections=20)


@pytest.fixture
def still_healthy(server):
    yield
    assert server.get("/ping").text == HEALTHY


# ---- what works ----

def test_keep_alive_serves_many_requests_on_one_connection(server):
    with server.raw() as raw:
        for i in range(5):
            answer = raw.request("POST", "/predictions/echo", f"call {i}")
            assert (answer.status, answer.text) == (200, f"call {i}")
            assert (answer.header("connection") or "keep-alive").lower() == "keep-alive"


def test_standard_headers_on_every_answer(server):
    ids = set()
    for path in ("/ping", "/predictions/echo", "/predictions/nobody", "/no/such/thing"):
        with server.raw() as raw:
            answer = raw.request("GET", path, headers={"x-request-id": "not mine"})
        assert answer.header("pragma") == "no-cache"
        assert answer.header("cache-control") == "no-cache; no-store, must-revalidate, private"
        assert answer.header("expires") == "Thu, 01 Jan 1970 00:00:00 UTC"
        assert UUID.match(answer.header("x-request-id")), answer
        assert answer.header("access-control-allow-origin") == "https://a.example"
        assert answer.header("access-control-allow-methods") == "GET, POST"
        assert answer.header("access-control-allow-headers") == "X-Custom"
        ids.add(answer.header("x-request-id"))
    assert len(ids) == 4


def test_a_clients_own_request_id(server):
    """Where it is a plain word; what is not gets another, and so does what is sent twice."""
    for own in ("mine", "0" * 36, "Root=1-67891233-abcdef012345678912"):
        with server.raw() as raw:
            for path in ("/predictions/echo", "/ping", "/no/such/thing"):
                assert raw.request("GET", path, headers={"X-Request-ID": own}).header(
                    "x-request-id") == own
    for other in ("0" * 37, "a b", "a,b", 'a"b', "n\u00e4h", ""):
        with server.raw() as raw:
            answer = raw.request("GET", "/ping", headers={"X-Request-ID": other})
        assert UUID.match(answer.header("x-request-id")), other
    with server.raw() as raw:
        answer = raw.request("GET", "/ping", headers={"X-Request-ID": "a", "x-request-id": "b"})
    assert UUID.match(answer.header("x-request-id"))


def test_connection_close_is_honoured(server):
    with server.raw() as raw:
        answer = raw.request("GET", "/ping", headers={"Connection": "close"})
        assert (answer.status, answer.text) == (200, HEALTHY)
        assert answer.header("connection").lower() == "close"
        assert raw.ended()


def test_http_1_0_closes_after_the_answer(server):
    with server.raw() as raw:
        answer = raw.request("GET", "/ping", version="1.0")
        assert (answer.status, answer.text) == (200, HEALTHY)
        assert raw.ended()


def test_http_1_0_with_keep_alive_stays(server):
    with server.raw() as raw:
        for _ in range(2):
            answer = raw.request("GET", "/ping", headers={"Connection": "keep-alive"},
                                 version="1.0")
            assert (answer.status, answer.text) == (200, HEALTHY)
            assert answer.header("connection").lower() == "keep-alive"


def test_http_1_0_stream_is_not_chunked(server):
    with server.raw() as raw:
        answer = raw.request("POST", "/predictions/stream", '{"pieces": 2}', version="1.0")
        assert answer.header("transfer-encoding") is None
        assert answer.text == "piece 0;piece 1;the end"


def test_http_1_0_stream_that_breaks_off_does_not_look_whole(server):
    with server.raw() as raw, pytest.raises(Broken, match="reset"):
        raw.request("POST", "/predictions/stream", '{"pieces": 2, "fail": true}', version="1.0")


def test_pipelined_answers_come_in_order_however_slow_the_first(server, gate):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/gate", gate.body(tag="slow"))
                 + encode("GET", "/ping")
                 + encode("POST", "/predictions/echo", "third")
                 + encode("GET", "/no/such/thing"))
        gate.wait_entered()
        gate.open()
        assert '"tag": "slow"' in raw.response().text
        assert raw.response().text == HEALTHY
        assert raw.response().text == "third"
        assert raw.response().status == 404


def test_more_pipelined_requests_than_are_read_ahead(server):
    with server.raw() as raw:
        raw.send(b"".join(encode("POST", "/predictions/echo", f"{i}") for i in range(100)))
        assert [raw.response().text for _ in range(100)] == [str(i) for i in range(100)]


def test_request_in_single_bytes(server):
    with server.raw() as raw:
        for byte in encode("POST", "/predictions/echo", "drip"):
            raw.send(bytes([byte]))
        assert raw.response().text == "drip"


def test_chunked_request(server):
    with server.raw() as raw:
        for _ in range(2):
            raw.send(encode_chunked("POST", "/predictions/echo", [b"one ", b"two ", b"x" * 50000]))
            assert raw.response().text == "one two " + "x" * 50000


def test_chunk_extensions_and_trailers_are_tolerated(server):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/echo", headers={"Transfer-Encoding": "chunked"})
                 + b"5;name=value\r\nhello\r\n0\r\nX-Trailer: yes\r\n\r\n")
        assert raw.response().text == "hello"
        assert raw.request("GET", "/ping").text == HEALTHY


def test_chunked_answer_and_the_connection_afterwards(server):
    with server.raw() as raw:
        answer = raw.request("POST", "/predictions/stream", '{"pieces": 3}')
        assert answer.header("transfer-encoding") == "chunked"
        assert answer.header("ts_stream_next") == "true"
        assert b"".join(answer.chunks) == b"piece 0;piece 1;piece 2;the end"
        assert raw.request("GET", "/ping").text == HEALTHY


def test_expect_continue(server):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/echo",
                        headers={"Expect": "100-continue", "Content-Length": 5}))
        assert raw.head().status == 100
        raw.send(b"hello")
        assert raw.response().text == "hello"


def test_expect_continue_with_a_body_too_large_is_refused_before_it_is_sent(server):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/echo",
                        headers={"Expect": "100-continue", "Content-Length": LIMIT + 1}))
        answer = raw.response()
        assert answer.status == 413 and not answer.interim


def test_unknown_expectation(server):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/echo", "x", headers={"Expect": "miracles"}))
        assert raw.response().status == 417


def test_head_has_no_body(server):
    with server.raw() as raw:
        answer = raw.request("HEAD", "/ping")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.header("content-length") == str(len(HEALTHY))
        assert raw.request("GET", "/ping").text == HEALTHY


def test_empty_lines_before_a_request(server):
    with server.raw() as raw:
        raw.send(b"\r\n\r\n" + encode("GET", "/ping"))
        assert raw.response().text == HEALTHY


@pytest.mark.parametrize("path,status", [
    ("/ping/", 200), ("/%70ing", 200), ("/ping?x=1", 200), ("//ping", 404), ("/pin", 404),
    ("/PING", 404), ("/ping/more", 200), ("/predictions/echo/", 200), ("/predictions/%65cho", 200)])
def test_paths(server, path, status):
    with server.raw() as raw:
        assert raw.request("GET", path).status == status


def test_half_closed_connection_hurts_nobody(server, still_healthy):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/echo", "last words"))
        raw.sock.shutdown(1)
        raw.ended()


# ---- limits ----

def test_body_of_exactly_the_limit(server):
    with server.raw() as raw:
        assert raw.request("POST", "/predictions/echo", b"x" * LIMIT).body == b"x" * LIMIT


def test_declared_length_over_the_limit(server, still_healthy):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/echo", headers={"Content-Length": LIMIT + 1}))
        assert raw.response().status == 413


def test_body_over_the_limit_sent_in_full_still_gets_its_answer(server, still_healthy):
    with server.raw() as raw:
        assert raw.request("POST", "/predictions/echo", b"x" * (LIMIT + 1)).status == 413


def test_chunked_body_over_the_limit(server, still_healthy):
    with server.raw() as raw:
        raw.send(encode_chunked("POST", "/predictions/echo", [b"x" * 20000] * 6))
        assert raw.response().status == 413


def test_absurd_length(server, still_healthy):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/echo", headers={"Content-Length": 2**63}))
        assert raw.response().status == 413
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/echo", headers={"Content-Length": "9" * 40}))
        assert raw.response().status in (400, 413)


def test_a_length_that_means_something_else_is_a_length(server, still_healthy):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/echo", headers={"Content-Length": 2**64 - 1})
                 + SMUGGLED)
        assert raw.response().status == 413
        assert raw.ended()


def test_request_line_too_long(server, still_healthy):
    with server.raw() as raw:
        raw.send(encode("GET", "/" + "a" * (HEAD_LIMIT + 1)))
        assert raw.response().status == 414
        assert raw.ended()


def test_headers_too_large(server, still_healthy):
    with server.raw() as raw:
        raw.send(encode("GET", "/ping", headers={"X-Long": "a" * (HEAD_LIMIT + 1)}))
        assert raw.response().status == 431
        assert raw.ended()


def test_too_many_headers(server, still_healthy):
    with server.raw() as raw:
        raw.send(encode("GET", "/ping", headers={f"x-{i}": i for i in range(30)}))
        assert raw.response().status == 431
        assert raw.ended()


def test_endless_headers_are_cut_off(server, still_healthy):
    with server.raw() as raw:
        raw.send(b"GET /ping HTTP/1.1\r\n")
        with pytest.raises(OSError):
            while True:
                raw.send(b"x: " + b"y" * 60000)


# ---- malformed and hostile input ----

GET = b"GET /ping HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /predictions/echo HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

MALFORMED = {
    "length and chunked": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                          b"0\r\n\r\n" + SMUGGLED,
    "chunked and length": CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "list of lengths": POST + b"Content-Length: 4, 5\r\n\r\nabcde",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "signed length": POST + b"Content-Length: +2\r\n\r\nab",
    "hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\nab",
    "empty length": POST + b"Content-Length:\r\n\r\n",
    "bare LF": b"GET /ping HTTP/1.1\nHost: x\n\n",
    "bare LF in headers": b"GET /ping HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n",
    "bare CR in a value": GET + b"X-A: b\rc\r\n\r\n",
    "NUL in a value": GET + b"X-A: b\0c\r\n\r\n",
    "NUL in a name": GET + b"X\0A: bc\r\n\r\n",
    "NUL in the path": b"GET /pi\0ng HTTP/1.1\r\nHost: x\r\n\r\n",
    "folded header": GET + b"X-A: b\r\n c\r\n\r\n",
    "blank before colon": POST + b"Content-Length : 4\r\n\r\nabcd",
    "no colon": GET + b"nonsense\r\n\r\n",
    "no name": GET + b": value\r\n\r\n",
    "bad chunk size": CHUNKED + b"\r\nzz\r\nhello\r\n0\r\n\r\n",
    "negative chunk size": CHUNKED + b"\r\n-5\r\nhello\r\n0\r\n\r\n",
    "chunk size that overflows": CHUNKED + b"\r\n1ffffffffffffffff\r\nhello",
    "chunk without its end": CHUNKED + b"\r\n5\r\nhelloworld\r\n0\r\n\r\n",
    "unknown coding": POST + b"Transfer-Encoding: zip\r\n\r\n",
    "chunked is not last": POST + b"Transfer-Encoding: chunked, zip\r\n\r\n0\r\n\r\n",
    "garbage": bytes(range(1, 256)),
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 200,
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": b"GET /ping HTTP/9.9\r\nHost: x\r\n\r\n",
    "no version": b"GET /ping\r\n\r\n",
    "unknown method": b"FROBNICATE /ping HTTP/1.1\r\nHost: x\r\n\r\n",
    "bad escape": b"GET /ping%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET /ping HTTP/1.1\r\n\r\n",
    "two hosts": GET + b"host: y\r\n\r\n",
    "coding in HTTP/1.0": b"POST /predictions/echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
                          b"0\r\n\r\n" + SMUGGLED,
    "escaped NUL": b"GET /predictions/a%00b HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_request_is_refused(server, still_healthy, name):
    with server.raw() as raw:
        raw.send(MALFORMED[name])
        answer = raw.response()
        assert answer.status in (400, 405, 501, 505), answer
        assert '"type": "' in answer.text and '"message": "' in answer.text
        assert b"smuggled" not in answer.body
        # Nothing behind a request that was not understood may be taken for another one.
        if name not in ("bad escape", "escaped NUL", "unknown method"):
            assert raw.ended()


@pytest.mark.parametrize("request_bytes", [
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    b"GET http://x/ping HTTP/1.1\r\nHost: x\r\n\r\n", b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET https:// HTTP/1.1\r\nHost: x\r\n\r\n", b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET ping HTTP/1.1\r\nHost: x\r\n\r\n", b"TRACE /ping HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_unusual_targets_never_fail_inside(server, still_healthy, request_bytes):
    with server.raw() as raw:
        raw.send(request_bytes)
        assert raw.response().status in (200, 400, 404, 405, 501)


def test_two_equal_lengths_are_refused_or_counted_once(server, still_healthy):
    with server.raw() as raw:
        raw.send(b"POST /predictions/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                 b"Content-Length: 3\r\n\r\nabc")
        answer = raw.response()
        assert answer.status == 400 or answer.text == "abc"


def test_early_close_in_every_place(server, still_healthy):
    whole = encode("POST", "/predictions/echo", b"x" * 300)
    for cut in range(1, len(whole), 7):
        with server.raw() as raw:
            raw.send(whole[:cut])


def test_message_of_a_malformed_request(server):
    with server.raw() as raw:
        raw.send(b"GARBAGE\r\n\r\n")
        assert_error(raw.response(), 400, "BadRequestException", "Invalid HTTP message.")


# ---- time ----

TIMES = "header_timeout_ms is 300, body_timeout_ms 300, body_rate_min 240 bytes a second."


def test_head_that_never_ends(hasty):
    with hasty.raw() as raw:
        raw.send(b"GET /ping HTTP/1.1\r\nHost:")
        assert_error(raw.response(), 408, "RequestTimeoutException",
                     "The request's head did not arrive in time. " + TIMES)
        assert raw.ended()


def test_body_that_never_ends(hasty):
    with hasty.raw() as raw:
        raw.send(encode("POST", "/predictions/echo", headers={"Content-Length": 10}) + b"abc")
        assert_error(raw.response(), 408, "RequestTimeoutException",
                     "The request's body did not arrive in time. " + TIMES)
        assert raw.ended()


def test_idle_connection_is_closed_without_a_word(hasty):
    with hasty.raw() as raw:
        assert raw.request("GET", "/ping").status == 200
        assert raw.ended()
    with hasty.raw() as raw:
        assert raw.ended()


def test_waiting_for_an_answer_is_not_idle(hasty, gate):
    with hasty.raw() as raw:
        raw.send(encode("POST", "/predictions/gate", gate.body(tag="patient")))
        gate.wait_entered()
        with hasty.raw() as other:      # its idle time passes while the first one waits
            assert other.ended()
        gate.open()
        assert '"tag": "patient"' in raw.response().text


def test_reader_that_never_reads_is_cut_off(hasty):
    with hasty.raw(receive_buffer=4096) as raw:
        raw.send(encode("POST", "/predictions/trouble", "huge 6000000"))
        assert hasty.get("/ping").text == HEALTHY
        assert raw.hung_up()
    assert hasty.get("/ping").text == HEALTHY


def test_slow_clients_do_not_delay_others(server):
    slow = [server.raw() for _ in range(50)]
    try:
        whole = encode("POST", "/predictions/echo", "s" * 20)
        for i, raw in enumerate(slow):
            raw.send(whole[:10 + i])
        for i in range(20):
            assert server.predict("echo", f"fast {i}").text == f"fast {i}"
        for i, raw in enumerate(slow):
            raw.send(whole[10 + i:])
        assert [raw.response().text for raw in slow] == ["s" * 20] * 50
    finally:
        for raw in slow:
            raw.close()


def test_connection_limit(hasty, gate):
    """Connections that wait for an answer keep their places; what is beyond gets 503 at once. An
    eighth of all places is kept for each of the other listeners."""
    held = [hasty.raw() for _ in range(16)]
    try:
        for raw in held:
            raw.send(encode("POST", "/predictions/gate", gate.body()))
        gate.wait_entered()
        with hasty.raw() as late:
            assert late.response().status == 503
            assert late.ended()
        assert hasty.manage("GET", "/models").status_code == 200
        assert "sconce_" in hasty.metrics_text()
    finally:
        for raw in held:
            raw.close()
        gate.open()

    def free_again():
        with hasty.raw() as raw:
            raw.send(encode("GET", "/ping"))
            return raw.response().status == 200
    eventually(free_again, "places are free again")


# ---- Unix sockets ----

def test_unix_listener(serve, tmp_path, module_tmp):
    fill(module_tmp / "store")
    path = tmp_path / "inference.sock"
    server = serve(store=module_tmp / "store", inference_address=f"unix:{path}")
    with Raw(str(path)) as raw:
        assert raw.request("GET", "/ping").text == HEALTHY
        assert raw.request("POST", "/predictions/echo", "by file").text == "by file"
    server.stop()
    assert not path.exists()


def test_stale_unix_socket_is_replaced_and_a_live_one_is_not(serve, tmp_path, module_tmp):
    fill(module_tmp / "store")
    path = tmp_path / "inference.sock"
    first = serve(store=module_tmp / "store", inference_address=f"unix:{path}")
    first.kill()
    assert os.path.exists(path)
    second = serve(store=module_tmp / "store", inference_address=f"unix:{path}")
    third = serve(store=module_tmp / "store", inference_address=f"unix:{path}", wait=False)
    assert third.wait() != 0
    assert str(path) in third.console
    third.ended = True
    with Raw(str(path)) as raw:
        assert raw.request("GET", "/ping").text == HEALTHY
    second.stop()


def test_a_unix_socket_that_took_its_place_is_left_there(serve, tmp_path):
    path = tmp_path / "inference.sock"
    first = serve(load_models=None, inference_address=f"unix:{path}", wait=False)
    serve(load_models=None, inference_address=f"unix:{path}.new", wait=False)
    eventually(lambda: path.exists() and (tmp_path / f"{path}.new").exists())
    os.rename(f"{path}.new", path)
    first.stop()
    with Raw(str(path)) as raw:
        assert raw.request("GET", "/livez").status == 200


def test_client_that_leaves_while_it_waits(server, gate):
    """Its request is still in the queue: the handler never sees it."""
    first = background(server.predict, "gate", gate.body(tag="first"))
    gate.wait_entered()
    before = server.metric("sconce_requests_cancelled_total", model_name="gate")
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/gate", gate.body(tag="gone")))
        eventually(lambda: server.metric("sconce_queue_depth", model_name="gate") == 1)
    eventually(lambda: server.metric("sconce_requests_cancelled_total",
                                     model_name="gate") == before + 1)
    last = background(server.predict, "gate", gate.body(tag="last", fifo=""))
    gate.open()
    assert first.result().status_code == 200
    assert last.result().status_code == 200
    assert gate.entries() == ["first", "last"]
