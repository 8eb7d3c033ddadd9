# SPDX-License-Identifier: Apache-2.0
"""Every way an inference fails: the exact status, type and message, and that others go on."""

import re

import pytest

from e2e.archives import make_mar
from e2e.client import encode
from e2e.gate import background
from e2e.server import assert_error, eventually

INTERNAL = "InternalServerException"
NO_WORKER = ("{} has no worker to serve inference request. Please use scale workers API to add "
             "workers. If this is a sequence inference, please check if it is closed, or expired; "
             "or exceeds maxSequenceJobQueueSize")


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    make_mar(store, "trouble", "trouble.py")
    make_mar(store, "echo", "echo.py")
    make_mar(store, "hasty", "trouble.py",
             config="responseTimeout: 1\nminWorkers: 1\nmaxWorkers: 1\n")
    make_mar(store, "narrow", "gate.py", config="jobQueueSize: 3\nminWorkers: 1\nmaxWorkers: 1\n")
    make_mar(store, "brief", "gate.py",
             config="clientTimeoutInMills: 200\nminWorkers: 1\nmaxWorkers: 1\n")
    make_mar(store, "fatal", "trouble.py")
    server = module_serve(store=store, max_response_size=1_000_000)
    server.manage("PUT", "/models/echo?min_worker=1")
    return server


@pytest.mark.parametrize("path,code,kind,message", [
    ("/predictions/nobody", 404, "ModelNotFoundException", "Model not found: nobody"),
    ("/explanations/nobody", 404, "ModelNotFoundException", "Model not found: nobody"),
    ("/predictions/nobody/1.0", 404, "ModelNotFoundException", "Model not found: nobody"),
    ("/models/nobody/invoke", 404, "ModelNotFoundException", "Model not found: nobody"),
    ("/invocations?model_name=nobody", 404, "ModelNotFoundException", "Model not found: nobody"),
    ("/predictions/%C3%A4%22%3C", 404, "ModelNotFoundException", 'Model not found: \u00e4"<'),
    ("/predictions/ecko", 404, "ModelNotFoundException",
     "Model not found: ecko. Did you mean 'echo'?"),
    ("/predictions/echo/9.9", 404, "ModelVersionNotFoundException",
     "Model version: 9.9 does not exist for model: echo"),
    ("/predictions", 404, "ResourceNotFoundException",
     "Requested resource is not found, please refer to API document."),
    ("/predictions/", 404, "ResourceNotFoundException",
     "Requested resource is not found, please refer to API document."),
    ("/no/such/thing", 404, "ResourceNotFoundException",
     "Requested resource is not found, please refer to API document."),
    ("/", 405, "MethodNotAllowedException",
     "Requested method is not allowed, please refer to API document."),
])
def test_what_is_not_there(server, path, code, kind, message):
    response = server.get(path)
    assert_error(response, code, kind, message)
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("body,code,message", [
    ("memory", 507, "Out of resources"),
    ("cuda", 507, "Out of resources"),
    ("prediction 418 short and stout", 418, "short and stout"),
    ("prediction 500 plain", 500, "plain"),
    ('prediction 400 with "quotes" and <signs>', 400, 'with "quotes" and <signs>'),
    ("prediction_default only text", 500, "only text"),
    ("raise ValueError text", 503, "Prediction failed"),
    ("nonlist", 503, "Invalid model predict output"),
    ("none", 503, "Invalid model predict output"),
    ("short", 503, "number of batch response mismatched"),
    ("long", 503, "number of batch response mismatched"),
])
def test_handler_failure(server, body, code, message):
    pid = server.worker_pids("trouble")
    response = server.predict("trouble", body)
    assert_error(response, code, INTERNAL, message)
    assert response.headers["content-type"] == "application/json"
    assert server.predict("trouble", "fine").text == "fine"
    assert server.worker_pids("trouble") == pid, "the worker must survive this"


@pytest.mark.parametrize("body,code", [("exit", 500), ("abort", 500), ("kill", 507)])
def test_worker_death(server, body, code):
    """Run once more, alone; then it fails, and only it."""
    before = server.metric("sconce_request_retries_total", model_name="fatal")
    assert_error(server.predict("fatal", body), code, INTERNAL, "Worker died.")
    assert server.metric("sconce_request_retries_total", model_name="fatal") == before + 1
    assert server.predict("fatal", "alive again").text == "alive again"


def test_no_reply_within_the_response_timeout(server):
    before = server.metric("sconce_request_retries_total", model_name="hasty")
    assert_error(server.predict("hasty", "hang"), 500, INTERNAL,
                 "Worker died. No answer in 1 s (responseTimeout).")
    assert server.metric("sconce_request_retries_total", model_name="hasty") == before
    assert server.predict("hasty", "again").text == "again"
    server.logged("ts_log.log", "Number or consecutive unsuccessful inference 1",
                  " fails: no answer in 1 s (responseTimeout)\n")
    assert re.search(r"W-\d+-hasty_1\.0 .* - Killing the worker: no answer in 1 s "
                     r"\(responseTimeout\)\n", server.log("ts_log.log"))
    assert re.search(r" - Request [-\w]+ fails: no answer in 1 s \(responseTimeout\)\n",
                     server.log("ts_log.log"))


def test_response_over_the_limit(server):
    assert server.predict("trouble", "huge 1000000").content == b"x" * 1_000_000
    assert_error(server.predict("trouble", "huge 1000001"), 507, INTERNAL,
                 "The response has 1000001 bytes, max_response_size allows 1000000.")
    assert server.predict("trouble", "fine").text == "fine"


def test_no_worker(server):
    assert server.manage("PUT", "/models/echo?min_worker=0&synchronous=true").status_code == 200
    try:
        eventually(lambda: server.describe("echo")[0]["workers"] == [])
        assert_error(server.predict("echo", b"x"), 503, "ServiceUnavailableException",
                     NO_WORKER.format('Model "echo"'))
        assert_error(server.predict("echo/1.0", b"x"), 503, "ServiceUnavailableException",
                     NO_WORKER.format('Model "echo" Version 1.0"'))
    finally:
        assert server.manage("PUT", "/models/echo?min_worker=1&synchronous=true").status_code == 200
    assert server.predict("echo", b"x").text == "x"


def test_queue_full(server, gate):
    running = background(server.predict, "narrow", gate.body(tag="running"))
    gate.wait_entered()
    waiting = [background(server.predict, "narrow", gate.body(tag=f"waiting {i}", fifo=""))
               for i in range(3)]
    eventually(lambda: server.metric("sconce_queue_depth", model_name="narrow") == 3)
    assert_error(server.predict("narrow", gate.body(tag="too many")), 503,
                 "ServiceUnavailableException", NO_WORKER.format('Model "narrow"') + ". Its queue "
                 "is full: 3 requests wait, which is all that its job_queue_size allows")
    gate.open()
    assert [f.result().status_code for f in [running, *waiting]] == [200] * 4
    assert sorted(gate.entries()) == ["running", "waiting 0", "waiting 1", "waiting 2"]


def test_client_timeout(server, gate):
    """Too late while it waits: answered and never run."""
    running = background(server.predict, "brief", gate.body(tag="running"))
    gate.wait_entered()
    late = server.predict("brief", gate.body(tag="late", fifo=""))
    assert_error(late, 504, "RequestTimeoutException",
                 "Request timed out: it waited for a worker for more than 200 ms "
                 "(clientTimeoutInMills).")
    gate.open()
    assert running.result().status_code in (200, 504)
    assert server.predict("brief", gate.body(tag="after", fifo="")).status_code == 200
    assert gate.entries() == ["running", "after"]


def test_body_too_large_names_no_handler(server):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/trouble", headers={"Content-Length": 6553501}))
        assert_error(raw.response(), 413, "BadRequestException",
                     "The request body is too large: max_request_size allows 6553500 bytes.")


def test_headers_that_are_too_large_or_too_many(server):
    limits = " max_header_size allows 8192 bytes, max_headers 128 headers."
    for headers, text in (({"a": "x" * 9000}, "The request's headers are too long."),
                          ({f"h{i}": "" for i in range(200)}, "The request has too many headers.")):
        with server.raw() as raw:
            raw.send(encode("GET", "/ping", headers=headers))
            assert_error(raw.response(), 431, "BadRequestException", text + limits)


def test_body_too_large_for_a_call_of_the_api(server):
    assert_error(server.manage("POST", "/models", data=b" " * 65_537), 413,
                 "BadRequestException",
                 "The request body is too large: this call takes at most 65536 bytes.")
