# SPDX-License-Identifier: Apache-2.0
"""Coroutine handlers: many calls side by side in one worker."""

import pytest

from e2e.archives import make_mar
from e2e.client import encode
from e2e.gate import background
from e2e.server import assert_error, eventually


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    make_mar(module_tmp / "later", "later", "later.py",
             config="minWorkers: 1\nmaxWorkers: 1\nasyncCommunication: true\n")
    make_mar(module_tmp / "later", "hasty", "later.py",
             config="minWorkers: 1\nmaxWorkers: 1\nasyncCommunication: true\n"
                    "responseTimeout: 1\n")
    return module_serve(store=module_tmp / "later")


def test_calls_overlap(server):
    """Each answer needs the other call: they would wait for ever one after another."""
    calls = [background(server.predict, "later", f"{i % 4}") for i in range(8)]
    texts = sorted(f.result().text for f in calls)
    assert texts == sorted([f"{i}: second" for i in range(4)] +
                           [f"{i}: first, then second" for i in range(4)])


def test_large_answers(server):
    """They wait for memory while other calls go on."""
    sizes = [300000 + i for i in range(20)]
    calls = [background(server.predict, "later", f"large {chr(97 + i)}{n}")
             for i, n in enumerate(sizes)]
    for i, n in enumerate(sizes):
        assert calls[i].result().text == chr(97 + i) * n


def test_streams_side_by_side(server):
    calls = [background(server.predict, "later", f"stream {n}") for n in (5, 1, 9)]
    for n, call in zip((5, 1, 9), calls):
        assert call.result().text == "".join(f"{i} " for i in range(n)) + "end"


def test_pieces_go_where_their_ids_say_whatever_context_a_handler_has_kept(server):
    calls = {mark: background(server.predict, "later", f"kept same {mark}") for mark in "ab"}
    assert {mark: call.result().text for mark, call in calls.items()} == {
        "a": "a a a", "b": "b b b"}


def test_a_call_that_fails_fails_alone(server):
    waiting = background(server.predict, "later", "friend")
    eventually(lambda: server.predict("later", "waits friend").text == "True")
    assert_error(server.predict("later", "fail now"), 503, "InternalServerException",
                 "Prediction failed")
    assert server.predict("later", "friend").text == "friend: second"
    assert waiting.result().text == "friend: first, then second"


def test_client_that_leaves_cancels_its_call(server, tmp_path):
    note = tmp_path / "note"
    with server.raw() as raw:
        raw.send(encode("POST", "/predictions/later", f"forever {note}"))
        eventually((tmp_path / "note.began").exists)
    eventually(note.exists)
    assert server.predict("later", "large a1").text == "a"


def test_worker_that_dies_with_many_calls(server, tmp_path):
    """All of them had begun: each is run once more, by itself."""
    calls = [background(server.predict, "later", f"die {tmp_path}/died")]
    calls += [background(server.predict, "later", f"large a{n}") for n in range(1, 30)]
    assert calls[0].result().text == "survived"
    assert [len(f.result().text) for f in calls[1:]] == list(range(1, 30))


def test_a_call_that_hangs_beside_traffic_is_timed_out(server, tmp_path):
    hung = background(server.predict, "hasty", f"forever {tmp_path / 'note'}")
    eventually((tmp_path / "note.began").exists)
    eventually(lambda: server.predict("hasty", "large a1").text == "a" and hung.done(),
               "it is answered though others go on")
    assert_error(hung.result(), 500, "InternalServerException",
                 "Worker died. No answer in 1 s (responseTimeout).")
