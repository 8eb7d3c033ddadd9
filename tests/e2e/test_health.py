# SPDX-License-Identifier: Apache-2.0
"""/ping as TorchServe has it; /livez and /readyz for orchestrators."""

import os
import signal

import pytest

from e2e.archives import make_mar
from e2e.server import assert_status, eventually

WAITS = """
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
    eventually(lambda: missing(server) == [
        {"model": "slow", "version": "1.0", "reason": "it is being loaded"}] or
        missing(server) == [
            {"model": "slow.mar", "reason": "it is being loaded"},
            {"model": "slow", "version": "1.0", "reason": "it is being loaded"}])
    release(gate)
    eventually(lambda: missing(server) == [], lambda: missing(server))


def test_a_model_that_cannot_be_loaded_keeps_the_server_from_being_ready(serve, tmp_path):
    store = tmp_path / "store"
    make_mar(store, "echo", "echo.py")
    (store / "broken.mar").write_bytes(b"this is no archive")
    server = started(serve(store=store, wait=False))
    eventually(lambda: [m for m in missing(server) if m["reason"] != "it is being loaded"])
    eventually(lambda: server.model_ready("echo"))
    eventually(lambda: len(missing(server)) == 1)
    assert missing(server)[0]["model"] == "broken.mar"
    assert_status(server.get("/ping"), 200, "Healthy")


def test_workers_that_are_given_up(serve, tmp_path):
    make_mar(tmp_path / "store", "bad", "bad_init.py", config="maxRetryTimeoutInSec: 1\n")
    server = started(serve(store=tmp_path / "store", wait=False))
    given_up = [{"model": "bad", "version": "1.0", "reason": "its workers were given up"}]
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
