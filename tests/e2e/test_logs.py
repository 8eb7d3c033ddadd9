# SPDX-License-Identifier: Apache-2.0
"""Lines of the logs: as objects, and with the id of the request that they belong to."""

import json
import re
import signal
import subprocess

import pytest

from e2e.archives import make_mar
from e2e.server import BIN, eventually

FILES = ("ts_log.log", "access_log.log", "model_log.log", "ts_metrics.log", "model_metrics.log")
TALKS = '''
import logging


class Talks:
    def initialize(self, context):
        logging.info("loading")

    def handle(self, data, context):
        logging.info('said "%s"', bytes(data[0]["body"]).decode())
        if bytes(data[0]["body"]) == b"fail":
            raise ValueError("as asked")
        return ["ok" for _ in data]
'''
KILLS = TALKS.replace("return [", "import os; os._exit(1); return [")
WAITS = TALKS.replace("def handle", "async def handle")


@pytest.fixture(scope="module")
def archives(module_tmp):
    make_mar(module_tmp / "talks", "talks", TALKS)
    make_mar(module_tmp / "talks", "waits", WAITS)
    return module_tmp / "talks"


def objects(server, name):
    return [json.loads(line) for line in server.log(name).splitlines()]


def messages(server, name, **members):
    return [line["message"] for line in objects(server, name)
            if all(line.get(k) == v for k, v in members.items())]


def test_every_file_is_there_from_the_start(serve, archives):
    server = serve(store=archives, load_models="")
    assert sorted(p.name for p in server.logs.iterdir() if p.is_file()) == sorted(FILES)


def test_lines_as_objects(serve, archives):
    server = serve(store=archives, log_format="json", metrics_mode="log")
    answer = server.predict("talks", b"hello")
    ident = answer.headers["x-request-id"]
    access, = eventually(lambda: [line for line in objects(server, "access_log.log")
                                  if line["request_id"] == ident])
    assert re.fullmatch(r'/127\.0\.0\.1:\d+ "POST /predictions/talks HTTP/1\.1" 200 \d+',
                        access["message"])
    assert (access["level"], access["logger"]) == ("INFO", "ACCESS_LOG")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", access["time"])
    eventually(lambda: 'said "hello"' in messages(
        server, "model_log.log", logger="MODEL_LOG", request_id=ident))
    eventually(lambda: any(m.startswith("PredictionTime.") for m in messages(
        server, "model_metrics.log", request_id=ident)))
    eventually(lambda: "loading" in messages(server, "model_log.log"))
    eventually(lambda: any(m.startswith("PredictionTime.") for m in messages(
        server, "model_metrics.log")))
    for name in FILES:
        objects(server, name)
    server.stop()
    for line in server.console.splitlines():
        json.loads(line)


@pytest.mark.parametrize("model", ["talks", "waits"])
def test_ids_in_text(serve, archives, model):
    server = serve(store=archives)
    ident = server.predict(model, b"fail").headers["x-request-id"]
    eventually(lambda: re.search(rf'" 503 \d+ {ident}$', server.log("access_log.log"), re.M))
    for text in ('said "fail"', "The handler failed for"):
        eventually(lambda t=text: re.search(rf"MODEL_LOG - {t} {ident}$",
                                            server.log("model_log.log"), re.M), text)


@pytest.mark.parametrize("model", ["talks", "waits"])
def test_a_traceback_is_one_record(serve, archives, model):
    server = serve(store=archives, log_format="json")
    answer = server.predict(model, b"fail", headers={"x-request-id": "mine"})
    assert answer.status_code == 503
    text, = eventually(lambda: messages(server, "model_log.log", request_id="mine", level="WARN"))
    assert text.startswith("The handler failed\nTraceback (most recent call last):\n")
    assert text.endswith("\nValueError: as asked")


def test_a_request_that_kills_its_worker(serve, module_tmp):
    make_mar(module_tmp / "dies", "dies", KILLS)
    server = serve(store=module_tmp / "dies", log_format="json")
    server.predict("dies", b"x", headers={"x-request-id": "mine"})
    server.logged("ts_log.log", "Request mine fails: ")
    assert messages(server, "ts_log.log", request_id="mine") == [
        "Request mine is run once more, alone: its worker exited with code 1",
        "Request mine fails: its worker exited with code 1"]


def test_lines_as_torchserve_writes_them(serve, archives):
    server = serve(store=archives, log_request_id=False)
    server.predict("talks", b"hello")
    eventually(lambda: re.search(r'HTTP/1\.1" 200 \d+$', server.log("access_log.log"), re.M))
    eventually(lambda: re.search(r'MODEL_LOG - said "hello"$', server.log("model_log.log"), re.M))


PRINTS = r'''
import os


def handle(data, context):
    if data is None:
        return None
    os.write(1, b"caf\xe9\n" + b"x" * 200_000 + b"\n")
    os.write(2, b"\r 10%|#  |\r 20%|## |\r")
    return ["ok" for _ in data]
'''


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_handlers_print_is_kept_whole_and_readable(serve, tmp_path, form):
    make_mar(tmp_path, "prints", PRINTS)
    server = serve(store=tmp_path, log_format=form)
    assert server.predict("prints", b"x").text == "ok"
    log = server.logs / "model_log.log"
    eventually(lambda: b"20%" in log.read_bytes() and b"x" * 200_000 in log.read_bytes())
    lines = log.read_bytes().decode().splitlines()
    assert any("caf\ufffd" in line for line in lines)
    assert [line for line in lines if "xx" in line][0].count("x") >= 200_000
    assert len([line for line in lines if "10%|#  |" in line or "20%|## |" in line]) == 2


# ---- sconce logs ----

def run_logs(server, *arguments):
    done = subprocess.run([BIN / "sconce", "logs", "--location", server.logs, *arguments],
                          cwd=server.root, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def about(server, *arguments):
    """The lines, without their times."""
    code, output, complaints = run_logs(server, *arguments)
    assert (code, complaints) == (0, ""), complaints
    return [line.partition(" ")[2] for line in output.splitlines()]


def ask(server, model, ident, body=b"hello"):
    server.predict(model, body, headers={"x-request-id": ident})
    eventually(lambda: f" {ident}\n" in server.log("access_log.log") or
               f'"{ident}"' in server.log("access_log.log"))
    eventually(lambda: ident in server.log("model_log.log"))
    eventually(lambda: ident in server.log("model_metrics.log"))


def test_logs_of_a_request(serve, archives):
    """Of all files, rotated ones too, in the order of their times."""
    server = serve(store=archives, metrics_mode="log", metrics_location=None)
    ask(server, "talks", "mine", b"fail")
    ask(server, "waits", "other")
    (server.logs / "model_log.log").rename(server.logs / "model_log.log.1")
    server.signal(signal.SIGHUP)
    eventually(lambda: "logs reopened" in server.log("ts_log.log"))
    ask(server, "talks", "mine2")
    lines = about(server, "--request", "mine")
    assert [line for line in lines if "MODEL_LOG" in line or "HTTP/1.1" in line] == [
        line for line in lines if re.search(
            r'MODEL_LOG - said "fail" mine$|MODEL_LOG - The handler failed for mine$|'
            r'MODEL_LOG - (Traceback|  .*|ValueError: as asked$)|'
            r'- /127\.0\.0\.1:\d+ "POST /predictions/talks HTTP/1\.1" 503 \d+ mine$', line)]
    assert sum("MODEL_LOG - ValueError" in line for line in lines) == 1
    assert sum("HTTP/1.1" in line for line in lines) == 1
    assert any("PredictionTime." in line and ",requestID:mine," in line for line in lines)
    _, output, _ = run_logs(server, "--request", "mine")
    assert output.splitlines() == sorted(output.splitlines(), key=lambda line: line[:23])
    assert not any("waits" in line for line in about(server, "--model", "talks"))
    assert any('said "hello" other' in line for line in about(server, "--model", "waits:1.0"))
    assert run_logs(server, "--model", "waits", "--version", "2.0") == (
        1, "", "sconce logs: no line is about that\n")
    assert len(about(server)) > len(lines)


def test_logs_in_json(serve, archives):
    server = serve(store=archives, log_format="json", metrics_mode="log", metrics_location=None)
    ask(server, "talks", "mine", b"fail")
    _, output, _ = run_logs(server, "--request", "mine", "--model", "talks")
    found = [json.loads(line) for line in output.splitlines()]
    assert {line["request_id"] for line in found} == {"mine"}
    assert any(line["message"].endswith("\nValueError: as asked") for line in found)


def test_logs_are_followed(serve, archives):
    """Over a rotation, too."""
    server = serve(store=archives)
    command = [BIN / "sconce", "logs", "--location", server.logs, "--model", "talks", "--follow"]
    with (server.root / "followed").open("w") as output:
        process = subprocess.Popen(command, stdout=output, cwd=server.root)
    try:
        followed = server.root / "followed"
        server.predict("talks", b"hello", headers={"x-request-id": "first"})
        eventually(lambda: 'said "hello" first' in followed.read_text())
        (server.logs / "model_log.log").rename(server.logs / "model_log.log.1")
        server.signal(signal.SIGHUP)
        eventually(lambda: "logs reopened" in server.log("ts_log.log"))
        server.predict("talks", b"hello", headers={"x-request-id": "second"})
        eventually(lambda: 'said "hello" second' in followed.read_text())
        assert followed.read_text().count('said "hello" first') == 1
    finally:
        process.kill()
        process.wait()


def test_logs_that_are_not_there(tmp_path):
    done = subprocess.run([BIN / "sconce", "logs", "--request", "x"], cwd=tmp_path, timeout=60,
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1, "sconce logs: there are no logs in logs; --location names their folder "
           "(log_location)\n")
