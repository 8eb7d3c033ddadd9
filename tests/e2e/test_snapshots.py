# SPDX-License-Identifier: Apache-2.0
"""Snapshots: what is registered is there again after a kill, and `models` and `model_snapshot`."""

import json
import os
import stat
import subprocess

import pytest

from e2e.archives import make_mar
from e2e.server import BIN, arguments, eventually, free_ports

CONFIG = "minWorkers: 1\nmaxWorkers: 1\nbatchSize: 3\n"


@pytest.fixture
def store(tmp_path):
    make_mar(tmp_path / "store", "echo", "echo.py")
    make_mar(tmp_path / "store", "echo", "echo.py", file="echo2.mar", version="2.0")
    return tmp_path / "store"


def start(serve, store, **settings):
    return serve(store=store, **{"load_models": None, "no_config_snapshots": None, **settings})


def snapshots(server):
    return sorted((server.logs / "config").glob("[0-9]*.cfg"))


def read(path):
    """As simple a reader as the line needs: Java's escapes of a backslash."""
    lines = [line for line in path.read_text("latin-1").splitlines() if not line.startswith("#")]
    return {k: v.replace("\\\\", "\\") for k, v in (line.split("=", 1) for line in lines)}


def recorded(server):
    """The models of the newest snapshot."""
    files = snapshots(server)
    return json.loads(read(files[-1])["model_snapshot"])["models"] if files else {}


def restart(serve, server, **settings):
    return start(serve, server.store, root=server.root, **settings)


def test_killed_server_resumes(serve, store):
    server = start(serve, store)
    server.register("echo.mar", initial_workers=1, batch_size=5, max_batch_delay=7,
                    response_timeout=33)
    server.register("echo2.mar", initial_workers=1)
    server.manage("PUT", "/models/echo/1.0?min_worker=2&max_worker=3&synchronous=true")
    server.manage("PUT", "/models/echo/2.0/set-default")
    eventually(lambda: recorded(server).get("echo", {}).get("2.0", {}).get("defaultVersion"))
    assert recorded(server)["echo"]["1.0"] == {
        "defaultVersion": False, "marName": "echo.mar", "runtimeType": "python", "minWorkers": 2,
        "maxWorkers": 3, "batchSize": 5, "maxBatchDelay": 7, "responseTimeout": 33,
        "startupTimeout": 120}
    server.kill()

    server = restart(serve, server)
    eventually(lambda: len(server.describe("echo", "all")) == 2 and server.model_ready("echo")
               if server.models() else False)
    default, = server.describe("echo")
    assert default["modelVersion"] == "2.0"
    old, = server.describe("echo", "1.0")
    assert [old[k] for k in ("minWorkers", "maxWorkers", "batchSize", "maxBatchDelay",
                             "responseTimeout", "modelUrl")] == [2, 3, 5, 7, 33, "echo.mar"]
    assert server.predict("echo", b"x").text == "x"
    server.said("Started restoring models from snapshot")

    # Its end is recorded, too, and so is what it does not have any more.
    server.manage("PUT", "/models/echo/1.0/set-default")
    assert server.manage("DELETE", "/models/echo/2.0").status_code == 200
    server.stop()
    assert snapshots(server)[-1].name.endswith("-shutdown.cfg")
    assert list(recorded(server)["echo"]) == ["1.0"]


def test_what_was_answered_is_recorded(serve, store):
    """At once: a server that is killed right after its answer has it."""
    server = start(serve, store, load_models="")
    eventually(lambda: snapshots(server))
    assert server.register("echo.mar", initial_workers=0).status_code == 200
    assert recorded(server)["echo"]["1.0"]["minWorkers"] == 0
    assert server.register("echo2.mar", initial_workers=1).status_code == 200
    assert recorded(server)["echo"]["2.0"]["minWorkers"] == 1
    for workers, wait in ((1, "true"), (2, "false"), (0, "true")):
        server.manage("PUT", f"/models/echo/2.0?min_worker={workers}&synchronous={wait}")
        assert recorded(server)["echo"]["2.0"]["minWorkers"] == workers
    server.manage("PUT", "/models/echo/2.0/set-default")
    assert recorded(server)["echo"]["2.0"]["defaultVersion"]
    server.manage("DELETE", "/models/echo/1.0")
    assert list(recorded(server)["echo"]) == ["2.0"]
    server.register("echo.mar", initial_workers=1, synchronous="false")
    assert sorted(recorded(server)["echo"]) == ["1.0", "2.0"]


def test_kinds_of_snapshots(serve, store):
    server = start(serve, store, load_models="echo.mar")
    eventually(lambda: snapshots(server))
    server.manage("PUT", "/models/echo?min_worker=0")
    eventually(lambda: recorded(server)["echo"]["1.0"]["minWorkers"] == 0)
    server.stop()
    kinds = [path.stem.split("-")[1] for path in snapshots(server)]
    assert kinds == ["startup", "snapshot", "shutdown"]
    document = read(snapshots(server)[0])
    assert document["load_models"] == "echo.mar"
    assert document["inference_address"] == f"http://127.0.0.1:{server.inference}"
    snapshot = json.loads(document["model_snapshot"])
    assert (snapshot["name"], snapshot["modelCount"]) == (snapshots(server)[0].name, 1)
    assert stat.S_IMODE(snapshots(server)[0].stat().st_mode) == 0o600
    # A model without workers stays without.
    server = restart(serve, server, load_models="echo2.mar")
    eventually(server.models)
    assert server.describe("echo")[0]["workers"] == []
    server.said("load_models is not used")


def test_damaged_snapshots_are_skipped(serve, store):
    server = start(serve, store, load_models="echo.mar")
    server.stop()
    good = snapshots(server)[-1]
    text = good.read_text()
    folder = good.parent
    damaged = {"30000101000000003-snapshot.cfg": text[:text.index("model_snapshot") - 9],
               "30000101000000002-snapshot.cfg": text[:-20],
               "30000101000000001-startup.cfg": "job_queue_size=many\n",
               "notes.cfg": "mine\n"}
    for name, content in damaged.items():
        (folder / name).write_text(content)
    pipe = "30000101000000004-snapshot.cfg"     # which nobody writes to
    os.mkfifo(folder / pipe)
    server = restart(serve, server)
    eventually(lambda: server.models() == ["echo"])
    for name in [pipe, *damaged]:
        assert any(name in line and "is skipped" in line and "warning" in line
                   for line in server.console.splitlines()), name
    assert good.name in server.console
    # The next one is the newest all the same.
    eventually(lambda: snapshots(server)[-1].name == "30000101000000005-startup.cfg")
    assert "echo" in recorded(server)


def test_no_config_snapshots(serve, store):
    server = start(serve, store, load_models="echo.mar")
    server.stop()
    before = snapshots(server)
    server = restart(serve, server, no_config_snapshots=True)
    server.register("echo.mar")
    server.stop()
    assert "restoring" not in server.console
    assert snapshots(server) == before


def test_old_snapshots_are_removed(serve, store):
    server = start(serve, store, load_models="echo.mar")
    eventually(lambda: snapshots(server))
    for n in range(24):
        server.manage("PUT", f"/models/echo?min_worker={n % 2}")
        eventually(lambda n=n: recorded(server)["echo"]["1.0"]["minWorkers"] == n % 2)
    server.stop()
    assert len(snapshots(server)) == 20


def test_what_a_registration_said_is_kept(serve, store, tmp_path):
    """An archive that lies elsewhere, under another name and with another handler."""
    mar = make_mar(tmp_path / "elsewhere", "far", "echo.py", entry="no_such_file.py")
    server = start(serve, store)
    response = server.register(f"file://{mar}", model_name="näh", handler="echo.py",
                               initial_workers=1)
    assert response.status_code == 200, response.text
    eventually(lambda: "näh" in recorded(server))
    assert snapshots(server)[-1].read_bytes().isascii()
    server.kill()
    server = restart(serve, server)
    eventually(lambda: "näh" in server.models() and server.model_ready("näh"))
    assert server.predict("näh", b"x").text == "x"


def test_snapshot_of_torchserve(serve, store, tmp_path):
    """As java.util.Properties writes them: in any order, escaped."""
    folder = tmp_path / "server" / "logs" / "config"
    folder.mkdir(parents=True)
    (folder / "20240102030405678-shutdown.cfg").write_text(
        "#Saving snapshot\n#Tue Jan 02 03:04:05 UTC 2024\n"
        "inference_address=http\\://127.0.0.1\\:8080\n"
        "model_snapshot={\\n  \"name\"\\: \"20240102030405678-shutdown.cfg\",\\n  "
        "\"modelCount\"\\: 1,\\n  \"created\"\\: 1704164645678,\\n  \"models\"\\: {\\n    "
        "\"mine\"\\: {\\n      \"2.0\"\\: {\\n        \"defaultVersion\"\\: true,\\n        "
        "\"marName\"\\: \"echo2.mar\",\\n        \"minWorkers\"\\: 2,\\n        "
        "\"maxWorkers\"\\: 2,\\n        \"batchSize\"\\: 4,\\n        \"maxBatchDelay\"\\: 50,"
        "\\n        \"responseTimeout\"\\: 60\\n      }\\n    }\\n  }\\n}\n"
        "tsConfigFile=logs/config/20240101000000000-startup.cfg\nmetrics_mode=LOG\n"
        "async_logging=true\nload_models=echo.mar\n")
    server = start(serve, store, root=tmp_path / "server")
    eventually(lambda: "mine" in server.models() and server.model_ready("mine"))
    assert parameters(server, "mine", "modelVersion", "minWorkers", "batchSize", "maxBatchDelay",
                      "responseTimeout") == ["2.0", 2, 4, 50, 60]


# ---- what stops the start ----

def run(root, store, environment=None, **settings):
    ports = dict(zip(("inference", "management", "metrics"), free_ports(3)))
    command = [BIN / "sconce", "serve", "--model-store", store, "--log-location", root / "logs",
               *arguments({f"{k}_address": f"http://127.0.0.1:{p}" for k, p in ports.items()}),
               *arguments(settings)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=30,
                          check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def test_snapshot_without_its_archive(serve, store):
    server = start(serve, store, load_models="echo.mar")
    server.stop()
    (store / "echo.mar").unlink()
    code, output = run(server.root, store)
    assert code == 1
    assert ("InvalidSnapshotException: Model archive file for model :echo, version :1.0 not found "
            "in model store") in output


def test_invalid_settings_of_models(store, tmp_path):
    code, output = run(tmp_path, store, model_snapshot='{"models": {"echo"')
    assert code != 0
    assert ("Invalid configuration: InvalidSnapshotException: --model-snapshot: "
            "is not JSON") in output
    code, output = run(tmp_path, store, models='{"echo": {"1.0": {"minWorkers": -1}}}')
    assert code != 0
    assert ("Invalid configuration: --models: model echo, version 1.0: minWorkers: "
            "-1 is not accepted; allowed: 0..100000") in output
    code, output = run(tmp_path, store, model_snapshot=json.dumps(
        {"models": {"echo": {"1.0": {"marName": "../../etc/passwd"}}}}))
    assert code == 1 and "InvalidSnapshotException" in output


# ---- models ----

def parameters(server, name, *keys, version=""):
    described, = server.describe(name, version)
    return [described[k] for k in keys]


def test_models_and_who_wins(serve, store):
    """A request goes before the archive's yaml, that before `models`, that before defaults."""
    make_mar(store, "said", "echo.py", config=CONFIG)
    said = {"minWorkers": 2, "maxWorkers": 2, "batchSize": 8, "maxBatchDelay": 17,
            "responseTimeout": 18, "startupTimeout": 19}
    server = start(serve, store, load_models="echo.mar,echo2.mar,said.mar",
                   no_config_snapshots=True,
                   models=json.dumps({"echo": {"1.0": said, "2.0": {"defaultVersion": True}},
                                      "said": {"1.0": said}}))
    keys = ["minWorkers", "batchSize", "maxBatchDelay", "responseTimeout", "startupTimeout"]
    eventually(lambda: server.model_ready("echo") and server.model_ready("said"))
    assert parameters(server, "echo", *keys, version="1.0") == [2, 8, 17, 18, 19]
    assert parameters(server, "echo", "modelVersion", "minWorkers", "batchSize") == ["2.0", 1, 1]
    assert parameters(server, "said", *keys) == [1, 3, 17, 18, 19]
    server.manage("DELETE", "/models/said")
    server.register("said.mar", batch_size=6, response_timeout=20)
    assert parameters(server, "said", *keys) == [1, 6, 17, 20, 19]
    server.manage("DELETE", "/models/echo/1.0")
    server.register("echo.mar", initial_workers=0)
    assert parameters(server, "echo", "minWorkers", "batchSize", version="1.0") == [0, 8]
