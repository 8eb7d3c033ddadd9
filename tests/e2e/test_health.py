# SPDX-License-Identifier: Apache-2.0
"""/ping as TorchServe has it; /livez and /readyz for orchestrators."""

import contextlib
import fcntl
import os
import re
import signal
import subprocess

import pytest

from e2e.archives import make_mar
from e2e.client import encode
from e2e.file_server import FileServer
from e2e.gate import background
from e2e.server import BIN, assert_error, assert_status, eventually

WAITS = """
import contextlib
import fcntl
import os
with open(os.path.join(os.environ["GATES"], "%s"), "rb") as gate:
    gate.read()


def handle(data, context):
    return None if data is None else ["ok" for _ in data]
"""


def fifo(folder, name):
    os.mkfifo(folder / name)
    return folder / name


def release(path):
    os.close(os.open(path, os.O_WRONLY))


def started(server):
    eventually(lambda: "Model server started." in server.console)
    return server


def missing(server):
    response = server.get("/readyz")
    if response.status_code == 200:
        assert response.json() == {"status": "Ready"}
        return []
    assert response.status_code == 503 and response.json()["status"] == "Not ready"
    return response.json()["models"]


def test_ping_is_healthy_and_the_server_not_ready_while_models_load(serve, tmp_path):
    make_mar(tmp_path / "store", "slow", WAITS % "slow")
    make_mar(tmp_path / "store", "echo", "echo.py")
    gate = fifo(tmp_path, "slow")
    server = serve(store=tmp_path / "store", wait=False, environment={"GATES": str(tmp_path)},
                   zygote="false")
    eventually(lambda: "Model slow version 1.0 is registered" in server.console)
    eventually(lambda: server.model_ready("echo"))
    assert_status(server.get("/ping"), 200, "Healthy")
    assert_status(server.get("/livez"), 200, "Live")
    assert missing(server) == [
        {"model": "slow", "version": "1.0", "reason": "it is being loaded"}]
    release(gate)
    eventually(lambda: missing(server) == [], lambda: missing(server))


def test_a_model_that_cannot_be_loaded_keeps_the_server_from_being_ready(serve, tmp_path):
    store = tmp_path / "store"
    make_mar(store, "echo", "echo.py")
    (store / "broken.mar").write_bytes(b"this is no archive")
    server = started(serve(store=store, wait=False))
    eventually(lambda: server.model_ready("echo"))
    eventually(lambda: len(missing(server)) == 1)
    assert missing(server)[0]["model"] == "broken.mar"
    assert_status(server.get("/ping"), 200, "Healthy")


def test_workers_that_are_given_up(serve, tmp_path):
    make_mar(tmp_path / "store", "bad", "bad_init.py", config="maxRetryTimeoutInSec: 1\n")
    server = started(serve(store=tmp_path / "store", wait=False))
    given_up = [{"model": "bad", "version": "1.0", "reason": "its workers were given up: "
                 "RuntimeError: the weights are not where they should be (bad_init.py, line 7)"}]
    eventually(lambda: [m for m in missing(server) if m["model"] == "bad"] == given_up,
               lambda: missing(server), 40)
    assert_status(server.get("/ping"), 500, "Unhealthy")
    assert_status(server.get("/livez"), 200, "Live")


def test_registering_one_more_model_does_not_take_the_server_out(serve, tmp_path):
    make_mar(tmp_path / "store", "echo", "echo.py")
    make_mar(tmp_path / "store", "slow", WAITS % "slow")
    gate = fifo(tmp_path, "slow")
    server = serve(store=tmp_path / "store", load_models="echo.mar", zygote="false",
                   environment={"GATES": str(tmp_path)})
    assert server.register("slow.mar", initial_workers=1, synchronous="false").status_code == 202
    assert missing(server) == []
    release(gate)
    eventually(lambda: server.model_ready("slow"))
    assert missing(server) == []
    # It has answered once; from now on it counts.
    os.kill(server.worker_pids("slow")[0], signal.SIGKILL)
    eventually(lambda: missing(server) == [
        {"model": "slow", "version": "1.0", "reason": "its workers are being restarted"}],
        lambda: missing(server))
    release(gate)
    eventually(lambda: missing(server) == [])


def test_models_without_workers_by_wish_are_not_waited_for(serve, tmp_path):
    make_mar(tmp_path / "store", "idle", "echo.py")
    server = serve(store=tmp_path / "store", load_models=None)
    assert server.register("idle.mar", initial_workers=0).status_code == 200
    assert missing(server) == []


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_need_no_token(serve, tmp_path, path):
    make_mar(tmp_path / "store", "echo", "echo.py")
    server = started(serve(store=tmp_path / "store", disable_token_authorization=False,
                           wait=False))
    assert server.get("/ping").status_code == 400
    assert server.manage("GET", path).status_code in (200, 503)
    eventually(lambda: server.get(path).status_code == 200)


def test_a_trailing_path_is_ignored_as_torchserve_does(serve, tmp_path):
    make_mar(tmp_path / "store", "echo", "echo.py")
    server = serve(store=tmp_path / "store")
    assert_status(server.get("/ping/anything"), 200, "Healthy")


# ---- before the models of the start are known ----

@pytest.fixture
def files(tmp_path):
    """A far archive whose second half comes when the test says `go`."""
    mar = make_mar(tmp_path / "far", "echo", "echo.py", files={"w": os.urandom(600_000)})
    with FileServer({"echo.mar": mar.read_bytes()}) as server:
        yield server


def starting(serve, tmp_path, files, **settings):
    """A server that downloads its model `near`; `here` is there, but later in the list."""
    make_mar(tmp_path / "store", "here", "echo.py")
    server = serve(store=tmp_path / "store", wait=False,
                   load_models=f"near={files.url('held/echo.mar')},here.mar", **settings)
    eventually(lambda: server.answers() and "it is being downloaded: 0." in str(missing(server)),
               lambda: missing(server))
    return server


def test_nothing_is_healthy_before_the_models_of_the_start_are_known(serve, tmp_path, files):
    server = starting(serve, tmp_path, files)
    assert_status(server.get("/ping"), 503, "Starting")
    assert_status(server.get("/livez"), 200, "Live")
    assert missing(server)[0]["model"] == "near"
    assert "Model server started." not in server.console
    files.go.set()
    started(server)
    server.said("Model near version 1.0 is registered")
    assert_status(server.get("/ping"), 200, "Healthy")
    eventually(lambda: missing(server) == [], lambda: missing(server))


def test_calls_wait_for_the_models_of_the_start(serve, tmp_path, files):
    server = starting(serve, tmp_path, files)
    waiting = [background(server.predict, "near", f"body {i}") for i in range(8)]
    nobody = background(server.predict, "nobody", "x")
    describing = background(server.manage, "GET", "/models/here/7.7")
    scaling = background(server.manage, "PUT", "/models/near?min_worker=1&synchronous=true")
    with server.raw() as leaving, server.raw() as pipelined:
        leaving.send(encode("POST", "/predictions/near", "x"))
        pipelined.send(encode("POST", "/predictions/near", "first")
                       + encode("POST", "/predictions/here", "second"))
        assert server.get("/livez").status_code == 200
        leaving.close()
        assert not any(call.done() for call in [*waiting, nobody, describing, scaling])
        files.go.set()
        assert [pipelined.response().text for _ in range(2)] == ["first", "second"]
    assert [call.result().text for call in waiting] == [f"body {i}" for i in range(8)]
    assert_error(nobody.result(), 404, "ModelNotFoundException", "Model not found: nobody")
    assert describing.result().status_code == 404
    assert scaling.result().status_code == 200


def test_a_model_that_comes_is_described_with_its_bytes(serve, tmp_path, files):
    server = starting(serve, tmp_path, files)
    near, = server.describe("near")
    url = files.url("held/echo.mar")
    size = len(files.files["echo.mar"])
    assert near == {"modelName": "near", "modelUrl": url, "status": "DOWNLOADING",
                    "bytes": near["bytes"], "totalBytes": size, "minWorkers": 1,
                    "loadedAtStartup": True, "workers": []}
    assert 0 < near["bytes"] <= size // 2
    assert "near" not in server.models()
    coming = server.manage("GET", "/models?registering=true").json()["registering"]
    assert ("near", "DOWNLOADING") in [(c["modelName"], c["status"]) for c in coming]
    models = [BIN / "sconce", "models", "--address", f"http://127.0.0.1:{server.management}"]
    command = [models[0], "models", "list", *models[2:]]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"^near +- +DOWNLOADING, 0\.\d of 0\.\d MiB +http:", listed, re.M), listed
    command[2:3] = ["describe", "near"]
    described = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"^  status +DOWNLOADING, 0\.", described, re.M), described
    files.go.set()
    eventually(lambda: "near" in server.models())
    assert "status" not in server.describe("near")[0]


def test_stopping_while_the_models_of_the_start_come(serve, tmp_path, files):
    """Nothing is waited for that will not come."""
    server = starting(serve, tmp_path, files, drain_timeout=600)
    with server.raw() as client:
        client.send(encode("POST", "/predictions/near", "x"))
        assert server.get("/livez").status_code == 200
        server.signal(signal.SIGTERM)
        assert_error(client.response(), 503, "ServiceUnavailableException",
                     "The server is stopping")
    assert server.wait() == 0
    assert "Model server started." not in server.console


@contextlib.contextmanager
def unreadable_for_now(path):
    """Whoever opens the file waits until the end of this block: a lease of ours."""
    was = signal.signal(signal.SIGIO, signal.SIG_IGN)
    fd = os.open(path, os.O_RDWR)
    try:
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as e:
            pytest.skip(f"this file system has no leases: {e}")
        yield
    finally:
        os.close(fd)
        signal.signal(signal.SIGIO, was)


def test_an_archive_that_is_unpacked_is_no_unknown_model(serve, tmp_path):
    """At the start its calls wait; in a registration it is described."""
    mar = make_mar(tmp_path / "store", "echo", "echo.py")
    with unreadable_for_now(mar):
        server = serve(store=tmp_path / "store", wait=False)
        eventually(lambda: server.answers() and
                   missing(server) == [{"model": "echo", "reason": "it is being unpacked"}],
                   lambda: missing(server))
        waiting = background(server.predict, "echo", "hello")
        assert_status(server.get("/ping"), 503, "Starting")
        assert server.describe("echo")[0]["status"] == "UNPACKING"
    assert waiting.result().text == "hello"
    assert server.manage("DELETE", "/models/echo").status_code == 200
    with unreadable_for_now(mar):
        registering = background(server.register, "echo.mar", initial_workers=1)
        # It waits first, for a moment.
        eventually(lambda: server.manage("GET", "/models/echo").status_code == 200 and
                   server.describe("echo", "all")[0]["status"] == "UNPACKING")
        assert missing(server) == []    # one that works is not taken out of rotation
    assert registering.result().status_code == 200
