# SPDX-License-Identifier: Apache-2.0
"""Why a model does not load, or does not answer: the same sentence wherever somebody looks."""

import os
import re
import subprocess

import pytest

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import BIN, assert_error, eventually
from e2e.test_failures import NO_WORKER
from e2e.test_health import missing, started
from e2e.test_pages import page

CAUSE = "SyntaxError: invalid syntax (broken_handler.py, line 2)"
BROKEN = "\ndef handle(:\n    pass\n"
FAILED = "Failed to start workers for model broken version: 1.0. " + CAUSE
FOUND = r"""(?x)
\[WARN\ \]\ W-\d+-broken_1\.0-stderr\ MODEL_LOG\ -\ \ \ File\ ".*/broken_handler\.py",\ line\ 2\n
.*MODEL_LOG\ -\ \ \ \ \ def\ handle\(:\n
.*MODEL_LOG\ -\ +\^\n
.*MODEL_LOG\ -\ SyntaxError:\ invalid\ syntax\n"""


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    """A model of the start that does not load, and one that does."""
    store = module_tmp / "store"
    make_mar(store, "broken", BROKEN)
    make_mar(store, "echo", "echo.py")
    server = started(module_serve(store=store, wait=False))
    eventually(lambda: server.model_ready("echo"))
    # Once at once, then after a second, and so on.
    eventually(lambda: server.log("ts_log.log").count("Retry worker") >= 3)
    return server


def cli(server, *arguments):
    command = [BIN / "sconce", "models", *arguments, "--address",
               f"http://127.0.0.1:{server.management}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("path,named", [
    ("/predictions/broken", 'Model "broken"'),
    ("/predictions/broken/1.0", 'Model "broken" Version 1.0"'),
    ("/explanations/broken", 'Model "broken"'),
    ("/models/broken/invoke", 'Model "broken"'),
    ("/invocations?model_name=broken", 'Model "broken"')])
def test_a_request_is_told_at_once(server, path, named):
    assert_error(server.call("POST", path, data=b"x"), 503, "ServiceUnavailableException",
                 NO_WORKER.format(named) + ". It does not load: " + CAUSE)


def test_a_request_for_the_handlers_description_is_told_at_once(server):
    assert_error(server.manage("GET", "/models/broken?customized=true"), 503,
                 "ServiceUnavailableException", 'Model "broken" has no worker to serve describe '
                 "request. Please use scale workers API to add workers. It does not load: " + CAUSE)


def test_descriptions_tell(server):
    assert server.describe("broken")[0]["error"] == CAUSE
    assert "error" not in server.describe("echo")[0]
    listed = cli(server, "list")
    assert listed.stdout.endswith(f"\nbroken 1.0 does not load: {CAUSE}\n")
    assert "echo 1.0 does not" not in listed.stdout
    assert re.search(rf"^ +error +{re.escape(CAUSE)}$", cli(server, "describe", "broken").stdout,
                     re.M)


def test_probes_and_the_page_tell(server):
    assert missing(server) == [
        {"model": "broken", "version": "1.0", "reason": "it does not load: " + CAUSE}]
    text = str(page(server))
    assert f"broken 1.0: it does not load: {CAUSE}" in text
    assert re.search(r"broken 1\.0 .*0 of 1 ready", text)
    assert text.count(CAUSE) == 1


def test_the_log_has_the_traceback_once_and_only_the_users_frames(server):
    eventually(lambda: re.search(FOUND, server.log("model_log.log")))
    log = server.log("model_log.log")
    assert log.count("SyntaxError") == 1
    assert log.count("  File ") == 1
    console = server.console
    assert console.count(f"Workers of model broken version 1.0 failed to start: {CAUSE}\n") == 1
    assert console.count(f"A model could not be loaded at start: {FAILED}\n") == 1


def test_a_registration_is_told_and_leaves_no_line_about_what_is_gone(serve, tmp_path):
    make_mar(tmp_path / "store", "broken", BROKEN)
    server = serve(store=tmp_path / "store", load_models=None)
    assert_error(server.register("broken.mar", initial_workers=2), 500, "InternalServerException",
                 FAILED)
    told = cli(server, "register", "broken.mar", "--workers", "2")
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == f"sconce models: error: {FAILED}\n"
    eventually(lambda: server.console.count("Model broken version 1.0 is gone\n") == 2)
    eventually(lambda: server.console.count(f"Registering broken.mar failed: {FAILED}\n") == 2)
    console = server.console
    assert "Retry worker" not in console and "recovery" not in console


def test_what_loads_at_last_has_no_cause_any_more(serve, tmp_path):
    """A request waits in the queue while a load is under way, and only then."""
    state = tmp_path / "state"
    state.write_text("broken")
    os.mkfifo(tmp_path / "gate")
    make_mar(tmp_path / "store", "broken", f'''
if open({str(state)!r}).read() == "broken":
    raise OSError("no weights")
open({str(tmp_path / "gate")!r}).read()


def handle(data, context):
    return data and ["fine" for _ in data]
''')
    server = started(serve(store=tmp_path / "store", wait=False))
    eventually(lambda: server.predict("broken", b"x").status_code == 503)
    assert server.predict("broken", b"x").json()["message"].endswith(
        "It does not load: OSError: no weights (broken_handler.py, line 3)")
    state.write_text("fine")
    with open(tmp_path / "gate", "w"):
        # It is being loaded as soon as somebody has opened the other end.
        waiting = background(server.predict, "broken", b"x")
        eventually(lambda: server.metric("sconce_queue_depth", model_name="broken") == 1)
    assert waiting.result().text == "fine"
    assert "error" not in server.describe("broken")[0]
    assert missing(server) == []


def test_an_archive_of_the_start_that_is_none(serve, tmp_path):
    store = tmp_path / "store"
    make_mar(store, "echo", "echo.py")
    (store / "junk.mar").write_bytes(b"this is no archive")
    server = started(serve(store=store, wait=False))
    eventually(lambda: server.model_ready("echo"))
    eventually(lambda: missing(server))
    cause = missing(server)[0]["reason"]
    assert "junk.mar" in cause
    assert f"A model could not be loaded at start: {cause}\n" in server.console
    assert_error(server.predict("junk", b"x"), 404, "ModelNotFoundException",
                 f"Model not found: junk. It could not be loaded at the start: {cause}")
    assert_error(server.predict("jnk", b"x"), 404, "ModelNotFoundException",
                 "Model not found: jnk")
    listed = cli(server, "list").stdout
    assert re.search(r"^junk +- +FAILED +junk\.mar$", listed, re.M)
    assert listed.endswith(f"\njunk does not load: {cause}\n")
    assert cli(server, "describe", "junk").stderr == (
        "sconce models: error: Model not found: junk. It could not be loaded at the start: "
        f"{cause}\n`sconce models list` shows what is there.\n")
    make_mar(store, "junk", "echo.py")
    assert server.register("junk.mar", initial_workers=1).status_code == 200
    assert missing(server) == []
    assert "FAILED" not in cli(server, "list").stdout


# ---- answers of the wrong length and type ----

@pytest.mark.parametrize("body,line", [
    ("short", "model: trouble, number of batch response mismatched, expect: 1, got: 0."),
    ("long", "model: trouble, number of batch response mismatched, expect: 1, got: 2."),
    ("none", "model: trouble, Invalid return type: <class 'NoneType'>. A list with an element for "
     "each of 1 request(s) is expected."),
    ("nonlist", "model: trouble, Invalid return type: <class 'dict'>. A list with an element for "
     "each of 1 request(s) is expected.")])
def test_a_wrong_answer_is_logged_with_what_was_expected(serve, tmp_path, body, line):
    make_mar(tmp_path / "store", "trouble", "trouble.py")
    server = serve(store=tmp_path / "store")
    assert server.predict("trouble", body).status_code == 503
    eventually(lambda: f"-stderr MODEL_LOG - {line}" in server.log("model_log.log"),
               lambda: server.log("model_log.log"))
