# SPDX-License-Identifier: Apache-2.0
"""Paths of TorchServe's inference API that other files do not look at, full queues, time limits."""

import json

import pytest

from e2e.archives import make_mar
from e2e.client import encode
from e2e.gate import Gate, background
from e2e.server import assert_error, eventually

NOT_FOUND = "Requested resource is not found, please refer to API document."


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    make_mar(store, "see", "see.py")
    make_mar(store, "twice", "see.py", file="twice-1.mar", version="1.0")
    make_mar(store, "twice", "see.py", file="twice-2.mar", version="2.0")
    make_mar(store, "predict", "see.py")
    return module_serve(store=store)


def test_legacy_predict_of_a_version(server):
    seen = server.get("/twice/2.0/predict?a=1").json()
    assert seen["version"] == "2.0"
    assert seen["fields"] == [["a", "bytearray", "1"], ["body", "bytearray", ""]]
    assert "explain" not in seen["headers"] and "url_path" not in seen["headers"]


def test_a_model_may_be_called_predict(server):
    for path in ("/predictions/predict", "/predict/predict", "/models/predict/invoke"):
        assert server.get(path).json()["model"] == "predict"


@pytest.mark.parametrize("path,kind,message", [
    ("/predictions", "ResourceNotFoundException", NOT_FOUND),
    ("/explanations/", "ResourceNotFoundException", NOT_FOUND),
    ("/invocations/more", "ResourceNotFoundException", NOT_FOUND),
    ("/models/see", "ResourceNotFoundException", NOT_FOUND),
    ("/models/see/invoke/more", "ResourceNotFoundException", NOT_FOUND),
    ("/models/see/1.0", "ResourceNotFoundException", NOT_FOUND),
    ("/see", "ResourceNotFoundException", NOT_FOUND),
    ("/see/1.0/predict/more", "ResourceNotFoundException", NOT_FOUND),
    ("/none/predict", "ModelNotFoundException", "Model not found: none"),
    ("/see/9/predict", "ModelVersionNotFoundException",
     "Model version: 9 does not exist for model: see"),
    ("/models/none/invoke", "ModelNotFoundException", "Model not found: none"),
    ("/invocations?model_name=none", "ModelNotFoundException", "Model not found: none"),
])
def test_what_is_not_there(server, path, kind, message):
    for method in ("GET", "POST"):
        assert_error(server.call(method, path), 404, kind, message)


def test_the_query_names_the_model_before_the_form(server):
    response = server.call("POST", "/invocations?model_name=twice", data={"model_name": "see"})
    # As in TorchServe the field is there twice, and the last one is what the handler sees.
    assert response.json()["model"] == "twice"


def test_a_named_model_goes_before_the_only_one(serve, tmp_path):
    make_mar(tmp_path, "only", "see.py")
    server = serve(store=tmp_path)
    assert_error(server.call("POST", "/invocations", data={"model_name": "other"}), 404,
                 "ModelNotFoundException", "Model not found: other")
    for path in ("/invocations", "/invocations?model_name="):
        assert server.call("POST", path, data=b"x").json()["model"] == "only"


@pytest.mark.parametrize("path", ["/", "/token", "/models", "/v1/models"])
def test_management_is_not_on_the_inference_listener(server, path):
    assert server.get(path).status_code in (404, 405)


# ---- full queues ----

def fill_queue(server, gate):
    running = [background(server.predict, "gate", gate.body())]
    gate.wait_entered()
    running += [background(server.predict, "gate", gate.body(fifo="")) for _ in range(2)]
    eventually(lambda: server.metric("sconce_queue_depth", model_name="gate") == 2)
    return running


@pytest.mark.parametrize("mode", [None, "503", "429"])
def test_full_queue(serve, tmp_path, gate, mode):
    make_mar(tmp_path / "store", "gate", "gate.py")
    server = serve(store=tmp_path / "store", job_queue_size=2, queue_full_status=mode)
    running = fill_queue(server, gate)
    response = server.predict("gate", gate.body())
    assert int(response.headers["retry-after"]) >= 1
    if mode == "429":
        assert_error(response, 429, "TooManyRequestsException",
                     'Model "gate" Version 1.0 has 2 requests waiting, which is all that its '
                     'job_queue_size allows. Try again later.')
    else:
        assert response.status_code == 503
        assert "has no worker to serve inference request" in response.text
    gate.open()
    assert [f.result().status_code for f in running] == [200] * 3
    assert "retry-after" not in server.predict("gate", gate.body(fifo="")).headers


def test_no_worker_is_503_in_any_mode_and_says_nothing_of_later(serve, tmp_path):
    make_mar(tmp_path / "store", "idle", "echo.py")
    server = serve(store=tmp_path / "store", load_models=None, queue_full_status="429")
    assert server.register("idle.mar", initial_workers=0).status_code == 200
    response = server.predict("idle", b"x")
    assert response.status_code == 503 and "retry-after" not in response.headers


# ---- time limits ----

def test_client_timeout_while_the_handler_runs(serve, tmp_path, gate):
    """504 when the time is over, and the worker's late answer goes nowhere."""
    make_mar(tmp_path / "store", "gate", "gate.py", config="clientTimeoutInMills: 300\n")
    server = serve(store=tmp_path / "store")
    with server.raw() as raw:
        assert_error(raw.request("POST", "/predictions/gate", gate.body(tag="slow")), 504,
                     "RequestTimeoutException",
                     "Request timed out: it took more than 300 ms (clientTimeoutInMills).")
        gate.open()
        eventually(lambda: server.metric("sconce_requests_cancelled_total", model_name="gate") == 1)
        answer = raw.request("POST", "/predictions/gate", gate.body(tag="next", fifo=""))
        assert answer.status == 200 and '"tag": "next"' in answer.text


def test_client_timeout_ends_when_the_answer_begins(serve, tmp_path, gate):
    make_mar(tmp_path / "store", "stream", "stream.py", config="clientTimeoutInMills: 400\n")
    make_mar(tmp_path / "store", "gate", "gate.py", config="clientTimeoutInMills: 600\n")
    server = serve(store=tmp_path / "store")
    second = Gate(tmp_path, "second")
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/stream", json.dumps({"pieces": 1,
                                                                   "fifo": gate.fifo})))
        assert raw.head().status == 200
        assert raw.chunk() == b"piece 0;"
        # Another call, begun later and with more time, runs out of it meanwhile.
        assert server.predict("gate", second.body()).status_code == 504
        gate.open()
        assert raw.chunk() == b"the end" and raw.chunk() == b""
        second.open()
