# SPDX-License-Identifier: Apache-2.0
"""sconce.testing: handlers in this process."""

import os
import sys

import pytest

from sconce import testing

BIN = os.environ.get("SCONCE_BIN_DIR") or os.path.join(
    os.path.dirname(__file__), "..", "..", "build", "bin")

pytestmark = pytest.mark.skipif(not os.access(os.path.join(BIN, "sconce"), os.X_OK),
                                reason="there is no executable yet")


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("SCONCE_BIN_DIR", os.path.abspath(BIN))
    made = []

    def make(source, config=None, name="handler.py", **options):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        (folder / name).write_text(source)
        if config:
            (folder / "model-config.yaml").write_text(config)
        made.append(testing.Model(folder / name, **options))
        return made[-1]

    before = (list(sys.path), os.getcwd())
    yield make
    for m in made:
        m.close()
    assert (sys.path, os.getcwd()) == before


ECHO = """
def handle(data, context):
    if data is None:
        return None
    context.set_response_status(201, "Made", 0)
    context.set_response_header(0, "x-of", type(data[0]["body"]).__name__)
    return [row["body"] for row in data]
"""


def test_bodies_are_decoded_and_answers_encoded(model):
    m = model(ECHO)
    answer = m.predict(b"\x00\xff")
    assert (answer.status, answer.body, answer.headers["x-of"]) == (201, b"\x00\xff", "bytearray")
    assert m.predict({"a": [1]}).json() == {"a": [1]}
    assert m.predict("text", "text/plain").headers["x-of"] == "str"
    large = os.urandom(5 << 20)
    assert m.predict(large).body == large
    assert m.predict("again").text == "again"


@pytest.mark.parametrize("run", ["def", "async def"])
def test_what_ends_a_worker_ends_its_call(model, run):
    m = model("""
import sys
class Handler:
    %s handle(self, data, context):
        if data[0]["body"] == b"leave":
            sys.exit(3)
        return [row["body"] for row in data]
""" % run)
    for _ in range(2):
        assert m.predict(b"before").body == b"before"
        with pytest.raises(SystemExit):
            m.predict(b"leave")
    assert m.predict(b"after").body == b"after"


def test_forms_and_headers(model):
    m = model("def handle(data, context):\n"
              "    if data is None:\n"
              "        return None\n"
              "    return [{'fields': {k: v.decode() for k, v in data[0].items()},\n"
              "             'header': context.get_request_header(0, 'x-mine')}]\n")
    answer = m.predict(fields={"one": b"1", "two": "2"}, headers={"x-mine": "yes"})
    assert answer.json() == {"fields": {"one": "1", "two": "2"}, "header": "yes"}


def test_what_handlers_raise(model):
    m = model("from ts.utils.util import PredictionException\n"
              "def handle(data, context):\n"
              "    if data and data[0]['body'] == b'own':\n"
              "        raise PredictionException('mine', 418)\n"
              "    return [1 / 0 for _ in data] if data else None\n")
    with pytest.raises(ZeroDivisionError):
        m.predict(b"x")
    answer = m.predict(b"own")
    assert (answer.status, answer.body) == (418, b"mine")


def test_coroutines(model):
    m = model("import asyncio\n"
              "async def handle(data, context):\n"
              "    if data is None:\n"
              "        return None\n"
              "    await asyncio.sleep(0)\n"
              "    return [row['body'] for row in data]\n")
    assert m.predict(b"x").body == b"x"
    assert m.predict(b"y").body == b"y"


def test_two_handlers_of_one_name(model):
    for text in ("one", "two"):
        m = model(f"def handle(data, context):\n    return [{text!r}] if data else None\n")
        assert m.predict().text == text
        m.close()
        assert "handler" not in sys.modules


def test_the_config_is_read(model):
    m = model("class Handler:\n"
              "    def initialize(self, context):\n"
              "        self.n = context.model_yaml_config['handler']['n']\n"
              "    def handle(self, data, context):\n"
              "        return [self.n for _ in data]\n",
              config="batchSize: 4\nhandler:\n  n: 7\n")
    assert m.predict().json() == 7
    assert m.handler.n == 7
    assert len(m.predict_batch([b""] * 3)) == 3


def test_what_cannot_be_loaded(model):
    with pytest.raises(ModuleNotFoundError, match="nothing_like_it"):
        model("import nothing_like_it\n")
    with pytest.raises(FileNotFoundError):
        testing.Model("missing.py")
