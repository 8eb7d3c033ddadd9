# SPDX-License-Identifier: Apache-2.0
"""Which path an archive takes that an engine might serve as well as its handler."""

import json
import os
import shutil
import signal

import pytest

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import eventually
from e2e.test_native import ENGINES

ECHO = """
def handle(data, context):
    return ["handled"] * len(data) if data else None
"""
# No engine takes a file of this ending, on any machine.
MODEL = {"files": {"model.weights": b"weights"}, "serializedFile": "model.weights"}
STEPS = "minWorkers: 2\nmaxWorkers: 2\npipeline:\n  - infer\n"


def without_handler(folder):
    (folder / "MAR-INF").mkdir(parents=True)
    (folder / "m.yaml").write_text(STEPS + "asyncCommunication: true\n")
    (folder / "model.weights").write_bytes(b"weights")
    model = {"modelName": folder.name, "serializedFile": "model.weights", "configFile": "m.yaml"}
    (folder / "MAR-INF/MANIFEST.json").write_text(json.dumps({"model": model}))


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    make_mar(store, "both", ECHO, config=STEPS, **MODEL)
    make_mar(store, "never", ECHO, config=STEPS + "native: never\n", **MODEL)
    make_mar(store, "own", ECHO, entry="image_classifier",
             files={"image_classifier.py": ECHO, "model.pt": b"x"}, serializedFile="model.pt")
    make_mar(store, "stateful", ECHO, config=STEPS + "asyncCommunication: true\n", **MODEL)
    make_mar(store, "profiled", ECHO, config=STEPS + "handler: {profile: true}\n", **MODEL)
    make_mar(store, "plain", ECHO)
    make_mar(store, "always", ECHO, config="native: always\n")
    without_handler(store / "alone")
    make_mar(store, "eager", "\n", entry="image_classifier", config="native: always\n",
             files={"net.py": "\n", "net.pt": b"x"}, modelFile="net.py", serializedFile="net.pt")
    return module_serve(store=store, load_models="both.mar,never.mar,own.mar,plain.mar")


def loading(server):
    """The process in which an engine loads; None: there is none yet."""
    try:
        return next((w["pid"] for w in described(server, "late")["workers"] if w["pid"] > 0), None)
    except (OSError, KeyError):
        return None


def depth(server):
    return described(server, "late")["jobQueueStatus"]["pendingRequests"]


def described(server, model):
    return server.describe(model)[0]


def test_what_does_not_load_falls_back_to_the_handler(server):
    assert server.predict("both", "x").text == "handled"
    told = described(server, "both")
    assert told["path"] == "python" and told["pathReason"]
    assert len(told["workers"]) == 2 and "error" not in told
    server.said("Model both version 1.0 is served by its handler")


def test_headers_of_what_waited_for_an_engine_decide_for_no_other(serve, tmp_path):
    """They say nothing to an engine, and very much to the handler that takes over."""
    engines = tmp_path / "engines"
    engines.mkdir()
    shutil.copy(ENGINES / "hanging.module", engines / "hanging.so")
    make_mar(tmp_path / "store", "late", """
def handle(data, context):
    if context.get_request_header(0, "describe") == "True":
        return ["special"]
    return ["usual"] * len(data) if data else None
""", config="minWorkers: 1\nmaxWorkers: 1\nbatchSize: 4\n"
                   "pipeline: [from_json, batch, infer, encode_json]\n",
             files={"m.hanging": b"x"}, serializedFile="m.hanging")
    server = serve(store=tmp_path / "store", wait=False,
                   environment={"SCONCE_ENGINE_PATH": str(engines)})
    worker = eventually(lambda: loading(server))
    asked = [background(server.predict, "late", headers={"describe": "True"})]
    eventually(lambda: depth(server) == 1)
    asked += [background(server.predict, "late") for _ in range(2)]
    eventually(lambda: depth(server) == 3)
    os.kill(worker, signal.SIGKILL)
    assert [f.result().text for f in asked] == ["special", "usual", "usual"]
    assert described(server, "late")["path"] == "python"


def test_never(server):
    assert server.predict("never", "x").text == "handled"
    told = described(server, "never")
    assert (told["path"], told["pathReason"]) == ("python", "native: never")


@pytest.mark.parametrize("model", ["own", "plain"])
def test_where_there_is_no_question_nothing_is_said(server, model):
    """Also where the archive has its own handler by the name of a default one."""
    assert server.predict(model, "x").text == "handled"
    assert not {"path", "pathReason"} & set(described(server, model))


@pytest.mark.parametrize("model,why", [("stateful", "asyncCommunication"),
                                       ("profiled", "handler: profile")])
def test_what_speaks_against_it(server, model, why):
    assert server.register(f"{model}.mar").status_code == 200
    assert why in described(server, model)["pathReason"]


@pytest.mark.parametrize("archive,why", [
    ("always.mar", "native: always, but the archive has neither a pipeline nor"),
    ("alone", "The archive has a pipeline and no handler, and "),
    ("eager.mar", "native: always, but the model is Python code (modelFile)")])
def test_what_cannot_be_is_refused(server, archive, why):
    answer = server.register(archive)
    assert (answer.status_code, answer.json()["type"]) == (400, "InvalidModelException")
    assert answer.json()["message"].startswith(why)
