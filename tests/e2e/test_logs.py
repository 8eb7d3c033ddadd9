# SPDX-License-Identifier: Apache-2.0
"""Lines of the logs: as objects, and with the id of the request that they belong to."""

import json
import re

import pytest

from e2e.archives import make_mar
from e2e.server import eventually

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
    assert "loading" in messages(server, "model_log.log")
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
    assert messages(server, "ts_log.log", request_id="mine") == [
        "Request mine is run once more, alone: its worker died",
        "Request mine fails: its worker died"]


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
