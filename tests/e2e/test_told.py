# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, word by word, where people look: at the client, the command line, the log."""

import json
import re
import subprocess

import pytest

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import BIN, assert_error, eventually
from e2e.test_failures import NO_WORKER

INTERNAL = "InternalServerException"
UNAVAILABLE = "ServiceUnavailableException"
LISTS = "`sconce models list` shows what is there.\n"
BROKEN = "SyntaxError: expected ':' (broken_handler.py, line 1)"
REFUSED = r"\[WARN \] main sconce - Request {id} is refused with "

# model, body, status, type, message, what the command line adds, (log file, its text) …
# The log's texts are expressions, {id} the request's.
WRONG = [
    pytest.param("trouble", "raise no such word", 503, INTERNAL, "Prediction failed", "", [
        ("model_log.log", r"\[WARN \] W-\d+-trouble_1\.0-stderr MODEL_LOG - "
                          r"The handler failed for {id}\n"
                          r".* MODEL_LOG - Traceback \(most recent call last\):\n"
                          r'.* MODEL_LOG -   File ".*/trouble\.py", line \d+, in handle\n'
                          r"(.* MODEL_LOG -  .*\n)*"
                          r".* MODEL_LOG - ValueError: no such word\n")], id="raises"),
    pytest.param("trouble", "prediction 422 too rude", 422, INTERNAL, "too rude", "", [
        ("model_log.log", r"MODEL_LOG - Prediction error: PredictionException: too rude : 422 "
                          r"\(trouble\.py, line \d+\) {id}\n")], id="refuses"),
    pytest.param("trouble", "short", 503, INTERNAL, "number of batch response mismatched", "", [
        ("model_log.log", r"MODEL_LOG - model: trouble, number of batch response mismatched, "
                          r"expect: 1, got: 0\. {id}\n")], id="length"),
    pytest.param("trouble", "nonlist", 503, INTERNAL, "Invalid model predict output", "", [
        ("model_log.log", r"MODEL_LOG - model: trouble, Invalid return type: <class 'dict'>\. A "
                          r"list with an element for each of 1 request\(s\) is expected\. {id}\n")],
        id="type"),
    pytest.param("trouble", "huge 3000", 507, INTERNAL,
                 "The response has 3000 bytes, max_response_size allows 2000.", "", [
                     ("access_log.log", r'"POST /predictions/trouble HTTP/1\.1" 507 \d+ {id}\n')],
                 id="answer too large"),
    pytest.param("fatal", "exit", 500, INTERNAL, "Worker died.", "", [
        ("ts_log.log", r"\[ERROR\] W-\d+-fatal_1\.0 sconce\.worker - Worker disconnected\. "
                       r"Backend worker exited with code 3\n"),
        ("ts_log.log", r"\[WARN \] W-\d+-fatal_1\.0 sconce\.worker - Request {id} is run once "
                       r"more, alone: its worker exited with code 3\n"),
        ("ts_log.log", r"\[ERROR\] W-\d+-fatal_1\.0 sconce\.worker - Request {id} fails: "
                       r"its worker exited with code 3\n")], id="crash"),
    pytest.param("hasty", "hang", 500, INTERNAL,
                 "Worker died. No answer in 1 s (responseTimeout).", "", [
                     ("ts_log.log", r"\[ERROR\] W-\d+-hasty_1\.0 sconce\.worker - Killing the "
                                    r"worker: no answer in 1 s \(responseTimeout\)\n"),
                     ("ts_log.log", r"\[ERROR\] W-\d+-hasty_1\.0 sconce\.worker - Request {id} "
                                    r"fails: no answer in 1 s \(responseTimeout\)\n")],
                 id="time limit"),
    pytest.param("trouble", "x" * 1001, 413, "BadRequestException",
                 "The request body is too large: max_request_size allows 1000 bytes.", "", [
                     ("ts_log.log", REFUSED + r"413: The request body is too large: "
                                              r"max_request_size allows 1000 bytes\.\n"),
                     ("access_log.log", r'"POST /predictions/trouble HTTP/1\.1" 413 \d+ {id}\n')],
                 id="body too large"),
    pytest.param("broken", "x", 503, UNAVAILABLE,
                 NO_WORKER.format('Model "broken"') + ". It does not load: " + BROKEN, "", [
                     ("ts_log.log", REFUSED + r"503: model broken version 1\.0 has no worker for "
                                              r"it\. It does not load: " + re.escape(BROKEN)),
                     ("model_log.log", r"MODEL_LOG - SyntaxError: expected ':'\n")],
                 id="does not load"),
    pytest.param("truble", "x", 404, "ModelNotFoundException",
                 "Model not found: truble. Did you mean 'trouble'?", LISTS, [
                     ("access_log.log", r'"POST /predictions/truble HTTP/1\.1" 404 \d+ {id}\n')],
                 id="mistyped model"),
    pytest.param("trouble/2.0", "x", 404, "ModelVersionNotFoundException",
                 "Model version: 2.0 does not exist for model: trouble", LISTS, [
                     ("access_log.log",
                      r'"POST /predictions/trouble/2\.0 HTTP/1\.1" 404 \d+ {id}\n')],
                 id="no such version"),
]


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    make_mar(store, "trouble", "trouble.py")
    make_mar(store, "fatal", "trouble.py")
    make_mar(store, "hasty", "trouble.py",
             config="responseTimeout: 1\nminWorkers: 1\nmaxWorkers: 1\n")
    make_mar(store, "narrow", "gate.py", config="jobQueueSize: 1\nminWorkers: 1\nmaxWorkers: 1\n")
    make_mar(store, "broken", "def handle(data, context)\n    pass\n")
    server = module_serve(store=store, max_request_size=1000, max_response_size=2000, wait=False)
    for model in ("trouble", "fatal", "hasty", "narrow"):
        eventually(lambda m=model: server.answers() and server.knows(m) and server.model_ready(m))
    # So late that it is tried again that no load is under way when it is asked.
    eventually(lambda: server.log("ts_log.log").count("Retry worker") >= 3)
    return server


def call(server, model, path):
    done = subprocess.run([BIN / "sconce", "call", model, path, "--address",
                           f"http://127.0.0.1:{server.inference}"],
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def logged(server, ident, logs):
    for file, text in logs:
        wanted = re.compile(text.replace("{id}", re.escape(ident)))
        eventually(lambda f=file, w=wanted: w.search(server.log(f)),
                   lambda f=file, w=wanted: f"{w.pattern}\nin\n{server.log(f)[-3000:]}")


@pytest.mark.parametrize("model, body, status, kind, message, advice, logs", WRONG)
def test_what_went_wrong(server, tmp_path, request, model, body, status, kind, message, advice,
                         logs):
    ident = re.sub(r"\W", "-", request.node.callspec.id)
    answer = server.predict(model, body, headers={"x-request-id": ident})
    assert_error(answer, status, kind, message)
    assert answer.headers["x-request-id"] == ident
    logged(server, ident, logs)
    (tmp_path / "body").write_text(body)
    eventually(lambda: model in ("broken", "truble", "trouble/2.0") or server.model_ready(model))
    code, output, said = call(server, model.replace("/", ":"), tmp_path / "body")
    assert (code, output) == (1, "")
    assert re.fullmatch(re.escape(f"sconce call: error: {message}\n{advice}{tmp_path}/body: "
                                  f"{status} in ") + r"[\d.]+ ms(: .*)?\n", said), said


def test_a_full_queue(server, gate, tmp_path):
    running = background(server.predict, "narrow", gate.body(tag="running"))
    gate.wait_entered()
    waiting = background(server.predict, "narrow", gate.body(tag="waiting", fifo=""))
    eventually(lambda: server.metric("sconce_queue_depth", model_name="narrow") == 1)
    full = "Its queue is full: 1 request waits, which is all that its job_queue_size allows"
    message = f"{NO_WORKER.format(chr(77) + 'odel ' + json.dumps('narrow'))}. {full}"
    (tmp_path / "body").write_text("{}")
    answer = server.predict("narrow", "{}", headers={"x-request-id": "one-too-many"})
    assert_error(answer, 503, UNAVAILABLE, message)
    assert int(answer.headers["Retry-After"]) >= 1
    logged(server, "one-too-many", [
        ("ts_log.log", REFUSED + r"503: model narrow version 1\.0 has no worker for it\. "
                       + re.escape(full) + r"\n"),
        ("access_log.log", r'"POST /predictions/narrow HTTP/1\.1" 503 \d+ {id}\n')])
    code, _, said = call(server, "narrow", tmp_path / "body")
    assert code == 1
    assert said.startswith(f"sconce call: error: {message}\n")
    gate.open()
    assert [f.result().status_code for f in (running, waiting)] == [200, 200]


def test_registering_what_is_not_there(server):
    """A mistyped archive, and a mistyped built-in handler."""
    message = "Model not found at: truble.mar. Did you mean 'trouble.mar'?"
    assert_error(server.register("truble.mar"), 404, "ModelNotFoundException", message)
    eventually(lambda: f"[WARN ] main sconce - Registering truble.mar failed: {message}\n"
               in server.console)
    done = subprocess.run([BIN / "sconce", "models", "register", "truble.mar", "--address",
                           f"http://127.0.0.1:{server.management}"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, f"sconce models: error: {message}\n")
