# SPDX-License-Identifier: Apache-2.0
"""The worker's side of the protocol, without a server."""

import json
import os
import re
import socket
import struct
import threading

import pytest

from sconce import frame as wire
from sconce.channel import Channel

ECHO = """
def handle(data, context):
    if data is None:
        return None
    return [row.get("body") for row in data]
"""


def test_says_hello_and_loads(front):
    f = front(ECHO)
    assert f.hello["protocol"] == 1 and f.hello["pid"] == f.process.pid
    assert f.loaded_code == 200
    assert f.loaded == {"message": "loaded model m", "async": False, "credits": 1, "imports": []}


def test_answers_every_request_of_a_frame_in_order(front):
    f = front(ECHO)
    bodies = [b"body %d" % i for i in range(7)]
    f.run(bodies, batch_size=2)
    replies = f.replies(7)
    assert [r.body for r in replies] == bodies
    assert [r.id for r in replies] == list(range(1, 8))
    assert all(r.final and not r.error and r.status == 200 for r in replies)
    # Four batches were begun: the status page says so.
    assert struct.unpack_from("<Q", f.outbound, 0)[0] == 4


def test_large_replies_use_their_grant_or_ask_for_one(front):
    f = front(ECHO)
    body = os.urandom(500_000)
    f.run([body], grant=(1 << 21, 1 << 20))
    assert f.replies(1)[0].body == body
    f.run([body])
    reply = f.replies(1)[0]
    assert reply.body == body and reply.flags & wire.REPLY_GRANTED


@pytest.mark.parametrize("sizes", [[9000], [90_000], [10, 9000], [9000, 10]])
def test_how_long_the_handler_took_comes_with_its_answer(front, sizes):
    """Also where answers wait for memory."""
    f = front("""
import time

def handle(data, context):
    if not data:
        return
    began = time.monotonic_ns()
    while time.monotonic_ns() - began < 30_000_000:
        pass
    return [b"x" * int(row["body"]) for row in data]
""")
    f.run([b"%d" % size for size in sizes], batch_size=len(sizes))
    f.replies(len(sizes))
    assert f.busy_ns >= 30_000_000


@pytest.mark.parametrize("limit", [100_000, 100])
def test_a_reply_larger_than_allowed_fails_alone(front, limit):
    f = front(ECHO, max_response_size=limit)
    f.run([b"x" * 2 * limit, b"small"], batch_size=2)
    large, small = f.replies(2)
    assert large.error and large.status == 507 and b"max_response_size" in large.body
    assert small.body == b"small"


def test_answers_that_nobody_would_make_again_do_not_wait_for_their_frame(front):
    """A call that ends the process takes along none that had come to its end."""
    f = front("""
import os
def handle(data, context):
    if data and data[0]["body"] == b"die":
        os._exit(1)
    return data and ["done"]
""", at_most_once=True)
    f.run([b"first", b"second", b"die"])
    assert [f.replies(1)[0].body for _ in range(2)] == [b"done", b"done"]


def test_failures_become_error_replies(front):
    f = front("""
from ts.utils.util import PredictionException
def handle(data, context):
    if data is None:
        return None
    what = data[0]["body"].decode()
    if what == "memory":
        raise MemoryError("no")
    if what == "cuda":
        raise RuntimeError("CUDA error: out of memory")
    if what == "own":
        raise PredictionException("my words", 422)
    if what == "dict":
        return {}
    if what == "two":
        return [1, 2]
    if what == "object":
        return [object()]
    raise ValueError("oops")
""")
    expected = {"memory": (507, "Out of resources"), "cuda": (507, "Out of resources"),
                "own": (422, "my words"), "dict": (503, "Invalid model predict output"),
                "two": (503, "number of batch response mismatched"),
                "object": (503, "Unsupported model output data type."),
                "other": (503, "Prediction failed")}
    for what, (status, message) in expected.items():
        f.run([what.encode()])
        reply = f.replies(1)[0]
        assert reply.error and reply.status == status and reply.body.decode() == message, what
    log = f.close()[1]
    assert "ValueError: oops" in log
    assert "Prediction error: PredictionException: my words : 422 (" in log


def test_what_a_handler_tells_its_client_is_one_line(front):
    """Anybody can send what is refused; what is the handler's own fault has its traceback."""
    f = front("""
from ts.utils.util import PredictionException
def handle(data, context):
    if data is not None:
        raise PredictionException("the\\nword", int(data[0]["body"]))
""")
    for code in (b"400", b"500"):
        f.run([code])
        assert f.replies(1)[0].status == int(code)
    log = f.close()[1].splitlines()
    assert log[0].startswith("Prediction error: PredictionException: the word : 400 (")
    assert log[0].endswith(".py, line 5)") and log[1].startswith("Traceback")


def test_context_carries_headers_status_and_content_type(front):
    f = front("""
def handle(data, context):
    if data is None:
        return None
    assert context.get_request_header(0, "X-In") == "one"
    assert context.get_request_id(0) == "u" * 36
    context.set_response_status(201, "Made", 0)
    context.set_response_content_type(0, "text/x")
    context.set_response_header(0, "X-Out", "two")
    return ["text"]
""")
    f.run([b""], headers=wire.write_headers([("X-In", "one")]))
    reply = f.replies(1)[0]
    assert (reply.status, reply.content_type, reply.headers, reply.body) == (
        201, "text/x", {"X-Out": "two"}, b"text")


def test_statuses_do_not_leak_into_the_next_batch(front):
    f = front("""
def handle(data, context):
    if data is None:
        return None
    if data[0]["body"] == b"teapot":
        context.set_response_status(418, "Teapot", 0)
    return ["x"]
""")
    f.run([b"teapot", b"plain"])
    assert [r.status for r in f.replies(2)] == [418, 200]


def test_decodes_by_content_type(front):
    f = front("""
import json
def handle(data, context):
    if data is None:
        return None
    value = data[0]["body"]
    plain = bytes(value) if isinstance(value, bytearray) else value
    return [type(value).__name__ + ":" + str(plain)]
""")
    for media, body, seen in [("application/json", b'{"a": 1}', "dict:{'a': 1}"),
                              ("application/json", b"{oops", "bytearray:b'{oops'"),
                              ("text/plain", "é".encode(), "str:é"),
                              ("text/plain", b"\xff", "bytearray:b'\\xff'"),
                              ("image/png", b"{}", "bytearray:b'{}'"), ("", b"", "bytearray:b''")]:
        f.run([body], media=media)
        assert f.replies(1)[0].body.decode() == seen


def test_streams_intermediate_replies(front):
    f = front("""
from ts.handler_utils.utils import send_intermediate_predict_response
def handle(data, context):
    if data is None:
        return None
    for i in range(3):
        send_intermediate_predict_response(["part %d" % i], context.request_ids, "ok", 200, context)
    return ["end"]
""")
    f.run([b""])
    replies = f.replies(1)
    assert [r.body for r in replies] == [b"part 0", b"part 1", b"part 2", b"end"]
    assert [r.final for r in replies] == [False, False, False, True]


def test_what_an_async_handler_begins_while_it_loads_goes_on(front):
    f = front("""
import asyncio
async def answer(future):
    await asyncio.sleep(0)
    future.set_result(b"from the loop of initialize()")
class Handler:
    def initialize(self, context):
        loop = asyncio.get_event_loop()
        self.future = loop.create_future()
        self.task = loop.create_task(answer(self.future))
    async def handle(self, data, context):
        return [await self.future for _ in data]
""")
    f.run([b"x"])
    assert f.replies(1)[0].body == b"from the loop of initialize()"


@pytest.mark.parametrize("close", ["loop.close()", "asyncio.set_event_loop(None)"])
def test_an_async_handler_may_close_the_loop_it_was_loaded_with(front, close):
    f = front("""
import asyncio
class Handler:
    def initialize(self, context):
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(asyncio.sleep(0))
        %s
    async def handle(self, data, context):
        return ["x"] * len(data)
""" % close)
    f.run([b"x"])
    assert f.replies(1)[0].body == b"x"


def test_async_function_loads_its_model_in_a_first_call(front):
    f = front("""
model = []
async def handle(data, context):
    if data is None:
        model.append("loaded")
        return None
    return [model[0] for _ in data]
""")
    f.run([b"x"])
    assert f.replies(1)[0].body == b"loaded"


def test_async_handlers_run_batches_side_by_side(front):
    f = front("""
import asyncio
waiting = {}
class Handler:
    def initialize(self, context):
        pass
    async def handle(self, data, context):
        key = data[0]["body"].decode()
        if key == "first":
            waiting["event"] = asyncio.Event()
            await waiting["event"].wait()
        else:
            waiting["event"].set()
        return [key + context.get_request_id(0)[0]]
""")
    assert f.loaded["async"] is True and f.loaded["credits"] > 1
    f.run([b"first", b"second"])
    assert sorted(r.body for r in f.replies(2)) == [b"firstu", b"secondu"]


@pytest.mark.parametrize("run", ["def", "async def"])
def test_what_is_done_with_goes_without_garbage_collection(front, run):
    """Which handlers turn off that want to answer evenly."""
    f = front("""
import gc
class Handler:
    def initialize(self, context):
        gc.collect()
        gc.disable()
    %s handle(self, data, context):
        return [str(gc.collect())]
""" % run)
    for i in range(3):
        f.run([b""], first=i + 1, uuids=True)
        found = f.replies(1)[0].body
    assert found == b"0"


def test_tasks_that_are_over_when_they_are_made(front):
    """As asyncio.eager_task_factory makes them, where nothing is waited for."""
    f = front("""
import asyncio
def eager(loop, coroutine, **options):
    if not loop.is_running():
        return asyncio.Task(coroutine, loop=loop)
    future = loop.create_future()
    try:
        coroutine.send(None)
    except StopIteration:
        future.set_result(None)
    return future
class Handler:
    def initialize(self, context):
        asyncio.get_event_loop().set_task_factory(eager)
    async def handle(self, data, context):
        return ["x"]
""")
    f.run([b""])
    assert f.replies(1)[0].body == b"x"
    f.send(wire.STOP, 0)
    assert f.process.wait(30) == 0


@pytest.mark.parametrize("entry", ["""
class H:
    @noted
    async def handle(self, data, context):
        return [row["body"] for row in data]
""", """
@noted
async def handle(data, context):
    return data and [row["body"] for row in data]
"""], ids=["method", "function"])
def test_a_coroutine_function_in_a_decorator(front, entry):
    """It looks like another; `asyncCommunication` says what it is, and TorchServe asks no more."""
    f = front("""
import functools
def noted(call):
    @functools.wraps(call)
    def noted_call(*arguments):
        return call(*arguments)
    return noted_call
""" + entry, **{"async": True})
    assert f.loaded["async"] is True
    f.run([b"first", b"second"])
    assert sorted(r.body for r in f.replies(2)) == [b"first", b"second"]


def test_metrics_of_batches_side_by_side_are_the_same(front):
    """What the first call has made, the second one finds; each has request ids of its own."""
    f = front("""
class Handler:
    made = False
    async def handle(self, data, context):
        if not self.made:
            self.made = context.metrics.add_metric_to_cache("Mine", "ms", ["a"])
        assert context.metrics.get_metric("Mine") is self.made
        return [context.metrics.request_ids[0]]
""")
    for first in (1, 2):
        f.run([b""], first=first, uuids=True)
        assert f.replies(1)[0].body == b"%036d" % first


def test_a_handler_that_cannot_be_loaded_says_why(front):
    """One sentence for whoever asks, and a traceback with the frames of the model alone."""
    f = front("\nimport no_such_module_anywhere\n")
    assert f.loaded_code == 500
    assert f.loaded["message"] == ("ModuleNotFoundError: No module named "
                                   "'no_such_module_anywhere' (handler.py, line 2)")
    assert re.fullmatch(r"""Traceback \(most recent call last\):
  File ".*/handler.py", line 2, in <module>
    import no_such_module_anywhere
ModuleNotFoundError: No module named 'no_such_module_anywhere'
""", f.loaded["traceback"])
    assert f.process.wait(30) == 1
    assert "Traceback" not in f.close()[1], "it is the front that logs it, once"


@pytest.mark.parametrize("source,message", [
    ("def handle(data, context)\n    pass\n", "SyntaxError: expected ':' (handler.py, line 1)"),
    ("def deep():\n    int('x')\n\ndef handle(data, context):\n    deep()\n",
     "ValueError: invalid literal for int() with base 10: 'x' (handler.py, line 2)"),
    ("raise OSError('two\\n  lines')\n", "OSError: two lines (handler.py, line 1)"),
    ("raise OSError('x' * 1000)\n", "OSError: " + "x" * 391 + "... (handler.py, line 1)"),
    ("class NoText(Exception):\n    def __str__(self):\n        raise ValueError\nraise NoText\n",
     "NoText (handler.py, line 4)"),
    ("import json\njson.loads('{')\n", "JSONDecodeError: Expecting property name enclosed in "
     "double quotes: line 1 column 2 (char 1) (handler.py, line 2)"),
    ("class Handler:\n    pass\n", "Expect handle method in class <class 'handler.Handler'>"),
])
def test_why_it_cannot_be_loaded_is_one_sentence(front, source, message):
    assert front(source).loaded["message"] == message


def test_what_is_wrong_with_a_handler_is_told_however_much_it_is(front):
    f = front("".join("class TheClassWithoutAHandle%d: pass\n" % i for i in range(3000)))
    assert f.loaded_code == 500
    assert f.loaded["message"].startswith("Expected only one class in custom service code")


def test_a_traceback_has_the_frames_that_its_reader_can_change(front):
    f = front("""
def inner():
    raise KeyError("inner")
def handle(data, context):
    try:
        inner()
    except KeyError as e:
        raise RuntimeError("outer") from e
""")
    text = f.loaded["traceback"]
    assert re.findall(r'File ".*/(\w+)\.py", line (\d+)', text) == [
        ("handler", "6"), ("handler", "3"), ("handler", "8")]
    assert "direct cause" in text and text.endswith("RuntimeError: outer\n")


TRIES = """
from sconce import trial
class Handler:
    def initialize(self, context):
        trial.lost or trial.attempt(lambda: None)
    def handle(self, data, context):
        return [trial.lost]
"""


def test_what_may_end_it_is_told_of_before(front):
    f = front(TRIES)
    assert f.skipped == [(wire.TRYING, 1), (wire.TRYING, 0)]
    f = front(TRIES, optimized_lost="it fell")
    f.run([b""])
    assert f.replies(1)[0].body == b"it fell" and f.skipped == []


def test_out_of_memory_at_load_is_told_apart(front):
    f = front("class H:\n  def initialize(self, c): raise MemoryError()\n  def handle(self, d, "
        "c): pass\n")
    assert (f.loaded_code, f.loaded["message"]) == (507, "System out of memory")


def test_stop_and_a_front_that_is_gone_end_the_worker(front):
    f = front(ECHO)
    f.send(wire.STOP, 0)
    assert f.process.wait(30) == 0
    g = front(ECHO)
    g.socket.close()
    assert g.process.wait(30) == 0


def test_a_limit_of_time_that_all_sockets_have_is_none_of_the_channels():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    socket.setdefaulttimeout(0.01)
    try:
        channel = Channel(ours.detach())
    finally:
        socket.setdefaulttimeout(None)
    threading.Timer(0.2, theirs.send, [wire.frame(wire.STOP)]).start()
    assert channel.receive()[0] == wire.STOP
    channel.close()
    theirs.close()


def test_a_part_outside_its_segment_is_not_read(front):
    f = front(ECHO)
    import conftest
    entry = conftest.request_entry(1, [(0, "body", "", 7, 1 << 20, 10)])
    f.send(wire.RUN, 1, entry, 1)
    reply = f.replies(1)[0]
    assert reply.error and reply.status == 503


def test_imports_nothing_heavy(front):
    f = front("""
import sys
HEAVY = ["torch", "numpy", "asyncio", "logging", "dataclasses", "inspect", "ctypes"]
if sys.version_info >= (3, 10):
    HEAVY.append("typing")    # Python 3.9 imports it to run a module
def handle(data, context):
    if data is None:
        return None
    return [",".join(m for m in HEAVY if m in sys.modules)]
""")
    f.run([b""])
    assert f.replies(1)[0].body == b""


def test_json_output_is_indented_by_two(front):
    f = front("def handle(data, context):\n  return data and [{'a': [1]}]\n")
    f.run([b""])
    assert f.replies(1)[0].body.decode() == json.dumps({"a": [1]}, indent=2)


def test_half_a_character_can_be_printed(front):
    f = front("""
def handle(data, context):
    for row in data or ():
        print("got", row["body"]["text"])
    return ["fine"] * len(data or ())
""")
    f.run([b'{"text": "a"}', b'{"text": "\\ud800"}', b'{"text": "b"}'], media="application/json",
          batch_size=3)
    assert [r.body for r in f.replies(3)] == [b"fine"] * 3
    assert f.close()[0].splitlines() == ["got a", "got \\ud800", "got b"]


def test_what_groups_raise_again_and_again_keeps_not_all_requests(front):
    f = front("""
import os, sys, traceback
sys.stderr = open(os.devnull, "w")
try:
    ExceptionGroup
except NameError:
    class ExceptionGroup(Exception):
        def __init__(self, message, exceptions):
            self.exceptions = tuple(exceptions)
ONE = ValueError("one")
def handle(data, context):
    if data is None:
        return None
    if data[0]["body"] == b"count":
        return [len(list(traceback.walk_tb(ONE.__traceback__)))]
    raised = []
    try:
        raise ONE
    except ValueError as e:
        raised.append(e)
    raise ExceptionGroup("all", [ExceptionGroup("some", raised)])
""")
    for _ in range(100):
        f.run([b""])
        assert f.replies(1)[0].error
    f.run([b"count"])
    assert int(f.replies(1)[0].body) <= 40
