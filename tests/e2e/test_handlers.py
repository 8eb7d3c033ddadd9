# SPDX-License-Identifier: Apache-2.0
"""Unchanged handlers: entry points, state, output, metrics, streams, coroutines, envelopes."""

import json
import os
import re
from pathlib import Path

import pytest

from e2e.archives import make_mar
from e2e.client import Broken, encode
from e2e.server import assert_error, eventually

LINE = r"^\S+ \[(INFO |WARN )\] W-\d+-{}_1\.0-{} MODEL_LOG - {}( [0-9a-f-]{{36}})?$"


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    for name in ("echo", "see", "count", "talk", "measure", "stream", "functions"):
        make_mar(store, name, f"{name}.py")
    make_mar(store, "second", "functions.py", entry="functions.py:serve")
    make_mar(store, "module", "functions.py", entry="functions:serve")
    make_mar(store, "bare", "echo.py", entry="echo")
    return module_serve(store=store, model_metrics_auto_detect=True)


PLAIN = """
def handle(data, context):
    return list(data) if data is not None else None
"""


@pytest.mark.parametrize("model,expected", [("functions", "handle"), ("second", "serve"),
                                            ("module", "serve")])
def test_entry_points(server, model, expected):
    assert server.predict(model, b"x").text == expected


def test_bare_module_name(server):
    assert server.predict("bare", b"x").text == "x"


def test_class_keeps_its_state_and_its_context(server):
    before = server.predict("count", b"x").json()
    after = server.predict("count", b"x").json()
    assert after["calls"] == before["calls"] + 1
    assert after["same"] is True and after["pid"] == before["pid"]


def test_model_folder_is_the_working_folder(server):
    answer = server.predict("count", b"x").json()
    assert answer["cwd"] == answer["dir"]
    assert answer["dir"].startswith(str(server.root / "tmp" / "models"))


def test_system_properties(server):
    answer = server.predict("see", b"x").json()
    assert (answer["model"], answer["version"], answer["batch_size"]) == ("see", "1.0", 1)


# ---- output ----

def test_output_reaches_the_model_log(server):
    assert server.predict("talk", b"hello out there").text == "ok"
    for stream, text in (("stdout", "stdout says hello out there"),
                         ("stderr", "stderr says hello out there"),
                         ("stdout", "logging says hello out there")):
        pattern = re.compile(LINE.format("talk", stream, re.escape(text)), re.M)
        eventually(lambda p=pattern: p.search(server.log("model_log.log")), pattern.pattern)


def test_traceback_reaches_the_model_log(server):
    assert_error(server.predict("talk", b"raise it"), 503, "InternalServerException",
                 "Prediction failed")
    eventually(lambda: "KeyError: 'raise it'" in server.log("model_log.log"))
    log = server.logged("model_log.log", "Traceback (most recent call last):")
    assert re.search(r'W-\d+-talk_1\.0-\w+ .*File ".*talk\.py", line \d+, in handle', log)


def test_output_that_is_not_text_or_has_no_end(serve, tmp_path):
    make_mar(tmp_path, "noisy", '''
import os


def handle(data, context):
    if data is None:
        return None
    os.write(1, b"\\xff\\xfe\\x00 \\x1b[31mred\\r\\n")
    os.write(1, b"long " + b"z" * 200000 + b"\\n")
    os.write(2, b"no line end")
    return ["ok" for _ in data]
''')
    server = serve(store=tmp_path)
    assert server.predict("noisy", b"x").text == "ok"
    eventually(lambda: "z" * 10000 in server.log("model_log.log"))
    server.logged("model_log.log", "long " + "z" * 200000)


# ---- failures at load ----

@pytest.mark.parametrize("name,source,reason", [
    ("syntax", "def handle(:\n    pass\n", "SyntaxError: invalid syntax "
     "(syntax_handler.py, line 1)"),
    ("empty", "x = 1\ny = 2\n", "Expected only one class in custom service code or a function "
     "entry point []: empty_handler has neither a function handle(data, context) nor one class "
     "with a method handle(self, data, context)"),
    ("gone", "import os\nos._exit(7)\n", "the worker process exited with code 7 while loading"),
    ("memory", "def handle(data, context):\n    raise MemoryError()\n", "System out of memory"),
])
def test_what_cannot_load_says_why(server, name, source, reason):
    path = make_mar(server.root, name, source)
    target = server.store / path.name
    path.rename(target)
    response = server.register(target.name, initial_workers=1)
    assert_error(response, 507 if name == "memory" else 500, "InternalServerException",
                 f"Failed to start workers for model {name} version: 1.0. {reason}")
    line = f"Workers of model {name} version 1.0 failed to start: {reason}\n"
    eventually(lambda: line in server.log("ts_log.log"))
    assert name not in server.models()


def test_handler_file_that_is_not_there(server):
    path = make_mar(server.store, "absent", "echo.py", entry="nowhere.py")
    assert_error(server.register(path.name, initial_workers=1), 500, "InternalServerException",
                 "Failed to start workers for model absent version: 1.0. No module named "
                 "'nowhere' is in the archive, and it is no default handler")
    eventually(lambda: re.search(r"absent.*nowhere", server.log("ts_log.log")))


@pytest.mark.parametrize("entry,meant", [("image_clasifier", "image_classifier"),
                                         ("absnt_handler.py", "absent_handler")])
def test_handler_that_is_mistyped(server, entry, meant):
    path = make_mar(server.store, "absent", "x = 1\n", entry=entry, files={"absent_handler.py": ""})
    assert_error(server.register(path.name, initial_workers=1), 500, "InternalServerException",
                 "Failed to start workers for model absent version: 1.0. No module named "
                 f"'{entry.removesuffix('.py')}' is in the archive, and it is no default handler; "
                 f"did you mean '{meant}'?")


# ---- metrics ----

def test_metrics_of_a_handler(server):
    for _ in range(3):
        assert server.predict("measure", b"x").text == "measured"
    level = {"ModelName": "measure", "Level": "Model"}
    assert server.metric("Visits", **level) == 6
    assert server.metric("Phase", **level) == 12.5
    assert server.metric("Weight", **level) == 3
    assert server.metric("Share", **level) == 50
    assert server.metric("CacheFill", Shelf="upper") == 7
    assert server.metric("Spread_count", **level) == 3
    assert server.metric("Spread_bucket", le="0.25", **level) == 0
    assert server.metric("Spread_bucket", le="0.5", **level) == 3


def test_metrics_of_a_handler_in_the_log(serve, tmp_path):
    make_mar(tmp_path, "measure", "measure.py")
    server = serve(store=tmp_path, metrics_mode="log", model_metrics_auto_detect=True)
    answer = server.predict("measure", b"x")
    line = re.compile(r"Visits\.Count:2(\.0)?\|#.*ModelName:measure.*Level:Model.*"
                      r"\|#hostname:[^,]+,(requestID:" + answer.headers["x-request-id"] +
                      r",)?timestamp:\d+$", re.M)
    eventually(lambda: line.search(server.log("model_metrics.log")), line.pattern)


# ---- streams ----

def test_stream_arrives_piece_by_piece(server, gate):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/stream", gate.body(pieces=2)))
        assert raw.head().header("transfer-encoding") == "chunked"
        assert raw.chunk() == b"piece 0;"
        gate.open()
        assert raw.chunk() == b"piece 1;"
        gate.open()
        assert raw.chunk() == b"the end"
        assert raw.chunk() == b""


def test_stream_of_many_pieces(server):
    response = server.predict("stream", json.dumps({"pieces": 500}))
    assert response.text == "".join(f"piece {i};" for i in range(500)) + "the end"


def test_stream_that_fails_ends_without_its_last_chunk(server):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/stream", '{"pieces": 2, "fail": true}'))
        with pytest.raises(Broken):
            raw.response()
    assert server.predict("stream", '{"pieces": 0}').text == "the end"


def test_handler_learns_that_its_client_has_left(server, tmp_path):
    left = tmp_path / "left"
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/stream",
                        json.dumps({"pieces": 1000000000, "left": str(left)})))
        raw.head()
    eventually(left.exists)
    assert server.predict("stream", '{"pieces": 1}').text == "piece 0;the end"


def test_client_that_leaves_a_stream(server, gate):
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/stream", gate.body(pieces=3, waits=1)))
        raw.head()
        raw.chunk()
    gate.open()
    assert server.predict("stream", '{"pieces": 1}').text == "piece 0;the end"


# ---- envelopes ----

def test_json_envelope(serve, tmp_path):
    make_mar(tmp_path, "instances", PLAIN)
    server = serve(store=tmp_path, service_envelope="json")
    response = server.predict("instances", json={"instances": [1, "two", [3]]})
    assert response.json() == {"predictions": [1, "two", [3]]}


def test_body_envelope(serve, tmp_path):
    make_mar(tmp_path, "enveloped", PLAIN)
    server = serve(store=tmp_path, service_envelope="body")
    assert server.predict("enveloped", b"just the body").content == b"just the body"


def test_decoding_can_be_switched_off(serve, tmp_path):
    make_mar(tmp_path, "see", "see.py")
    server = serve(store=tmp_path, decode_input_request=False)
    answer = server.predict("see", b'{"a": 1}', headers={"Content-Type": "application/json"})
    assert answer.json()["fields"] == [["body", "bytearray", '{"a": 1}']]


def test_hidden_environment(serve, tmp_path):
    make_mar(tmp_path, "environment", '''
import os


def handle(data, context):
    return [dict(os.environ) for _ in data] if data is not None else None
''')
    server = serve(store=tmp_path, blacklist_env_vars=".*SECRET.*",
                   environment={"MY_SECRET_KEY": "hidden", "MY_PUBLIC_KEY": "shown"})
    answer = server.predict("environment", b"").json()
    assert "MY_SECRET_KEY" not in answer and answer["MY_PUBLIC_KEY"] == "shown"
    assert answer["TS_DECODE_INPUT_REQUEST"] == "true"


@pytest.mark.torch
def test_base_handler(serve, tmp_path):
    make_mar(tmp_path, "base", '''
import torch
from ts.torch_handler.base_handler import BaseHandler


class Doubler(BaseHandler):
    def initialize(self, context):
        self.model = torch.nn.Identity()
        self.device = torch.device("cpu")
        self.context = context
        self.initialized = True

    def preprocess(self, data):
        return torch.as_tensor([row["body"] for row in data], dtype=torch.float32)

    def postprocess(self, data):
        return (2 * data).tolist()
''')
    server = serve(store=tmp_path)
    assert server.predict("base", json=[1, 2, 3]).json() == [2.0, 4.0, 6.0]


@pytest.mark.parametrize("zygote", ["on", "off"])
def test_workers_with_and_without_a_zygote(serve, tmp_path, zygote):
    make_mar(tmp_path, "count", "count.py")
    server = serve(store=tmp_path, zygote=zygote, default_workers_per_model=3)
    assert len(set(server.worker_pids("count"))) == 3
    assert server.predict("count", b"x").status_code == 200


def has_ended(pid):
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_child_of_a_handler_does_not_outlive_its_worker(serve, tmp_path):
    make_mar(tmp_path, "parent", '''
import subprocess


class Parent:
    def initialize(self, context):
        self.child = subprocess.Popen(["sleep", "1000"])

    def handle(self, data, context):
        return [str(self.child.pid) for _ in data]
''')
    server = serve(store=tmp_path)
    pid = int(server.predict("parent", b"x").text)
    os.kill(server.worker_pids("parent")[0], 9)
    eventually(lambda: has_ended(pid))
    assert server.predict("parent", b"x").status_code == 200
