# SPDX-License-Identifier: Apache-2.0
"""What a handler answers that cannot be sent: its own request fails, and nothing else."""

import json
import os

import pytest

from sconce import frame as wire

HANDLER = """
from ts.utils.util import PredictionException
class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")
class Tagged(PredictionException):
    def __init__(self, message):
        super().__init__(message, 422)
class Bare(PredictionException):
    def __init__(self):
        pass
def handle(data, context):
    if data is None:
        return None
    out = ["fine"] * len(data)
    for i, row in enumerate(data):
        what = bytes(row["body"]).decode()
        head = lambda name, value: context.set_response_header(i, name, value)
        status = lambda code, phrase="": context.set_response_status(code, phrase, i)
        exec(WAYS.get(what, "pass"))
    return out
WAYS = %r
"""

UNSENDABLE = {
    "surrogate": (500, "out[i] = 'a\\ud800'"),
    "text of its own kind": (500, "out[i] = type('S', (str,), {'encode': lambda *_: 5})('a')"),
    "json that raises": (503, "out[i] = [object()]"),
    "json that is cancelled": (500, "def items(_): raise __import__('asyncio').CancelledError()\n"
                               "out[i] = type('D', (dict,), {'items': items})(a=1)"),
    "deep json": (503, "x = []\nfor _ in range(100000): x = [x]\nout[i] = x"),
    "line end in a header": (500, "head('X-Out', 'a\\r\\nSet-Cookie: b')"),
    "control in a header": (500, "head('X-Out', 'a\\0b')"),
    "surrogate in a header": (500, "head('X-Out', 'a\\ud800')"),
    "name of a header": (500, "head('X Out', 'a')"),
    "empty name": (500, "head('', 'a')"),
    "surrogate in a name": (500, "head('X\\ud800', 'a')"),
    "long header": (500, "head('X-Out', 'a' * 70000)"),
    "two headers of 60 KB": (500, "head('X-A', 'a' * 60000); head('X-B', 'b' * 60000)"),
    "long content type": (500, "context.set_response_content_type(i, 'a/' + 'b' * 70000)"),
    "content type with a line end": (500, "context.set_response_content_type(i, 'a/b\\n')"),
    "long phrase": (500, "status(200, 'x' * 70000)"),
    "phrase with a line end": (500, "status(200, 'a\\nb')"),
    "surrogate in the phrase": (500, "status(200, '\\ud800')"),
    "informational status": (500, "status(100)"),
    "status too large": (500, "status(1000)"),
    "negative status": (500, "status(-5)"),
    "status that is no number": (500, "status('many')"),
    "status without end": (500, "status(float('inf'))"),
    "no processor": (500, "context.request_processor[i] = None"),
}
RAISED = {
    "mute": (503, "raise Mute()", "Prediction failed"),
    "generator exit": (503, "raise GeneratorExit()", "Prediction failed"),
    "base exception": (503, "raise BaseException('x')", "Prediction failed"),
    "subclass": (422, "raise Tagged('field x is missing')", "field x is missing"),
    "subclass without words": (500, "raise Bare()", "Prediction failed"),
    "cuda in the handler's own words": (400, "raise PredictionException('no CUDA', 400)",
                                        "no CUDA"),
    "informational code": (500, "raise PredictionException('x', 100)", "x"),
    "surrogate message": (500, "raise PredictionException('a\\ud800')", "a?"),
    "long message": (500, "raise PredictionException('\\u00e9' * 9000)", "\u00e9" * 4096),
}
WAYS = {name: code for name, (_, code, *_) in {**UNSENDABLE, **RAISED}.items()}


@pytest.fixture(params=["def", "async def"])
def handler(request):
    return (HANDLER % WAYS).replace("def handle", request.param + " handle")


def test_only_the_request_fails_whose_answer_cannot_be_sent(front, handler):
    f = front(handler)
    for what, (status, _) in UNSENDABLE.items():
        f.run([b"good", what.encode(), b"good"], batch_size=3)
        replies = sorted(f.replies(3), key=lambda r: r.id)
        assert [r.body for r in replies if r.id != 2] == [b"fine"] * 2, what
        assert replies[1].error and replies[1].status == status, (what, replies[1].body)
    f.run([b"good"])
    assert f.replies(1)[0].body == b"fine"


@pytest.mark.parametrize("n, claimed", [(9, 3), (9, 90_000), (90_000, 3)])
def test_bytes_of_a_class_that_says_something_else_of_them(front, n, claimed):
    f = front("""
class Odd(bytes):
    def __len__(self):
        return %d

    def __bytes__(self):
        return self

def handle(data, context):
    return [Odd(row["body"]) for row in data or ()]
""" % claimed)
    f.run([b"x" * n, b"y" * n])
    assert [r.body for r in f.replies(2)] == [b"x" * n, b"y" * n]


def test_text_of_a_class_that_encodes_itself(front):
    f = front("""
class Bytes(bytes):
    def __len__(self):
        return 3

class Text(str):
    def encode(self, *_):
        return Bytes(str.encode(self))

def handle(data, context):
    return [Text(row["body"].decode()) for row in data or ()]
""")
    f.run([b"some text", b"other text"])
    assert [r.body for r in f.replies(2)] == [b"some text", b"other text"]


def test_text_of_a_class_that_encodes_itself_beside_a_body(front):
    f = front("""
from ts.utils.util import PredictionException
class Bytes(bytes):
    def __len__(self):
        return 3
    def translate(self, *_):
        return self

class Text(str):
    def __str__(self):
        return self
    def encode(self, *_):
        return Bytes(b"of its own\\r\\n")

def handle(data, context):
    if data is None:
        return None
    if data[0]["body"] == b"raise":
        raise PredictionException(Text("message"), 400)
    context.set_response_status(200, Text("phrase"), 0)
    context.set_response_content_type(0, Text("content/type"))
    context.set_response_header(0, Text("X-Name"), Text("value"))
    return ["body"] * len(data)
""")
    f.run([b"", b"raise", b""])
    replies = f.replies(3)
    assert [r.body for r in replies] == [b"body", b"message", b"body"]
    assert (replies[0].content_type, replies[0].headers) == ("content/type", {"X-Name": "value"})


def test_whatever_is_raised_is_answered(front, handler):
    f = front(handler)
    for what, (status, _, message) in RAISED.items():
        f.run([what.encode()])
        reply = f.replies(1)[0]
        assert (reply.status, reply.body.decode()) == (status, message), what
        assert reply.error
    f.run([b"good"])
    assert f.replies(1)[0].body == b"fine"


@pytest.mark.parametrize("run", ["def", "async def"])
@pytest.mark.parametrize("again", ["raise ONE", "FUTURE.result()",
                                   "try: FUTURE.result()\n"
                                   "    except ValueError as e: raise KeyError() from e",
                                   "try: FUTURE.result()\n"
                                   "    except ValueError: raise ONE"])
def test_what_is_raised_again_and_again_keeps_not_all_requests(front, tmp_path, run, again):
    f = front("""
import sys, traceback
sys.stderr = open(%r, "w", 1)
from concurrent.futures import Future
from ts.utils.util import PredictionException
ONE, FUTURE = PredictionException("one", 409), Future()
def fails():
    raise ValueError("of long ago")
try:
    fails()
except ValueError as e:
    FUTURE.set_exception(e)
%s handle(data, context):
    if data is None:
        return None
    if data[0]["body"] == b"count":
        return [max(len(list(traceback.walk_tb(e.__traceback__))) for e in
                    (ONE, FUTURE.exception()))]
    %s
""" % (str(tmp_path / "told"), run, again))
    for _ in range(100):
        f.run([b""])
        assert f.replies(1)[0].error
    f.run([b"count"])
    assert int(f.replies(1)[0].body) <= 40
    f.close()
    told = (tmp_path / "told").read_text()
    assert len(told) < 100 * 10_000
    if again == "FUTURE.result()":
        assert told.count("in fails") == 100     # each time it says where that was


def test_what_a_request_brought_goes_back_as_it_came(front):
    f = front("""
def handle(data, context):
    if data is None:
        return None
    value = context.get_request_header(0, "X-In")
    context.set_response_header(0, "X-Out", value)
    return [value]
""")
    block = wire.write_headers([("X-In", "caf\udce9")])
    f.run([b""], headers=block)
    reply = f.replies(1)[0]
    assert (reply.status, reply.body, reply.headers) == (200, b"caf\xe9", {"X-Out": "caf\udce9"})


def test_the_later_of_two_headers_replaces_the_other(front):
    f = front("""
def handle(data, context):
    if data is None:
        return None
    for name in ("n", "X", "N", "content-type", "Content-Type"):
        context.set_response_header(0, name, name)
    return ["x"]
""")
    f.run([b""])
    reply = f.replies(1)[0]
    assert reply.headers == {"X": "X", "N": "N"} and reply.content_type == "Content-Type"


def test_no_status_is_200_and_large_heads_leave_room_for_bodies(front):
    f = front("""
def handle(data, context):
    if data is None:
        return None
    context.set_response_status(None, None, 0)
    context.set_response_header(0, "X", "y" * 60000)
    return ["z" * 8000]
""")
    f.run([b""])
    reply = f.replies(1)[0]
    assert (reply.status, reply.body) == (200, b"z" * 8000)
    assert reply.headers == {"X": "y" * 60000}


@pytest.mark.parametrize("how", ["del context.request_processor[1:]",
                                 "context.request_processor.clear()",
                                 "context.request_processor = None",
                                 "context.request_processor = type('P', (list,), "
                                 "{'__len__': lambda _: 9})()"])
def test_a_handler_that_shortens_its_processors_answers_all(front, how):
    f = front("""
def handle(data, context):
    if data is None:
        return None
    context.set_response_status(201, "", 2)
    %s
    return [bytes(row["body"]) for row in data]
""" % how)
    f.run([b"0", b"1", b"2"], batch_size=3)
    assert [(r.body, r.status) for r in f.replies(3)] == [(b"0", 200), (b"1", 200), (b"2", 201)]


@pytest.mark.parametrize("run", ["def", "async def"])
@pytest.mark.parametrize("method,message", [
    ("'__iter__': lambda _: iter(())", "number of batch response mismatched"),
    ("'__len__': lambda _: 2", "number of batch response mismatched"),
    ("'__iter__': lambda _: 1 / 0", "Prediction failed"),
    ("'__iter__': lambda _: open('/no')", "Prediction failed")])
def test_a_list_that_is_none_fails_its_batch(front, run, method, message):
    f = front("""
%s handle(data, context):
    if data is None:
        return None
    return type("L", (list,), {%s})(["x"])
""" % (run, method))
    f.run([b"0", b"1"], batch_size=2)
    assert [(r.status, r.body.decode()) for r in f.replies(2)] == [(503, message)] * 2


def test_deeply_nested_json_is_passed_as_bytes(front):
    f = front("""
def handle(data, context):
    if data is None:
        return None
    return [type(row["body"]).__name__ for row in data]
""")
    f.run([b"[" * 100000, b"{}"], batch_size=2, media="application/json")
    assert [r.body for r in f.replies(2)] == [b"bytearray", b"dict"]


def test_a_metric_that_cannot_be_sent_leaves_the_others(front):
    f = front("""
from ts.metrics.caching_metric import CachingMetric
from ts.metrics.metric_type_enum import MetricTypes
def update(name, value, dimensions=("D",), values=("d",)):
    CachingMetric(name, "ms", list(dimensions), MetricTypes.GAUGE).add_or_update(value, values)
def handle(data, context):
    if data is None:
        return None
    update("before", 1)
    update(b"name", 1)
    update("dimension", 1, (b"D",))
    update("surrogate", 1, ("D",), ("\\ud800",))
    update("large", 10 ** 5000)
    update("larger than a double", 10 ** 400)
    update("after", 2)
    return ["x"]
""")
    f.run([b""])
    sent = json.loads(f.receive(wire.METRIC)[1])
    assert [(m["name"], m["value"]) for m in sent] == [("before", 1), ("after", 2)]
    assert f.replies(1)[0].body == b"x"


def test_all_metrics_of_a_call_arrive_before_its_answer(front):
    f = front("""
def handle(data, context):
    if data is None:
        return None
    for _ in range(2500):
        context.metrics.add_counter("n", 1)
    return ["x"]
""")
    f.run([b""])
    sent = []
    while (got := f.receive_any())[0] == wire.METRIC:
        sent += json.loads(got[3][wire.HEAD:])
    assert len(sent) == 2500 and f.read_replies(got[3], got[1])[0].body == b"x"


def test_metrics_between_requests_do_not_wait_for_the_next(front, tmp_path):
    """Of a thread that watches something, say."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    f = front("""
import threading
class H:
    def initialize(self, context):
        context.metrics.add_counter("loading", 1)
        threading.Thread(target=self.watch, args=(context,), daemon=True).start()
    def watch(self, context):
        with open(%r) as gate:
            gate.read()
        context.metrics.add_counter("later", 1)
    def handle(self, data, context):
        return ["x"]
""" % str(gate))
    f.run([b""])
    assert f.replies(1)[0].body == b"x"
    gate.write_text("")
    assert [m["name"] for m in json.loads(f.receive(wire.METRIC)[1])] == ["later"]


@pytest.mark.parametrize("end", ["return ['child']", "raise ValueError('child')",
                                 "raise SystemExit(3)",
                                 "send(['child'], context.request_ids, '', 200, context)"])
def test_only_the_worker_answers_not_what_its_handler_forks(front, end):
    f = front("""
import os
from ts.handler_utils.utils import send_intermediate_predict_response as send
def handle(data, context):
    if data is None:
        return None
    child = os.fork()
    if child == 0:
        context.metrics.add_counter("n", 1)
        %s
        os._exit(0)
    os.waitpid(child, 0)
    return ["worker"]
""" % end)
    for i in (1, 2):
        f.run([b""], first=i)
        kind, count, _, data = f.receive_any()
        assert kind == wire.CHUNK
        assert [(r.id, r.body) for r in f.read_replies(data, count)] == [(i, b"worker")]


@pytest.mark.parametrize("run", ["def", "async def"])
@pytest.mark.parametrize("lock", ["replies._lock", "channel._lock"])
def test_what_a_handler_forks_ends_whatever_its_threads_are_at(front, run, lock):
    """A thread that streams has a lock now and then, and is not there to give it back."""
    f = front("""
import contextlib, os, sys, threading
from sconce import serving
held, over = threading.Event(), threading.Event()
def hold():
    with serving.session.%s:
        held.set()
        over.wait()
%s handle(data, context):
    if data is None:
        return None
    context.metrics.add_counter("n", 1)
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            context.is_cancelled(0)
        sys.exit(5)
    status = os.waitpid(child, 0)[1]
    over.set()
    thread.join()
    return [str(os.waitstatus_to_exitcode(status))]
""" % (lock, run))
    f.run([b""])
    assert f.replies(1)[0].body == b"5"


def test_what_a_handler_forks_writes_into_no_answer(front, tmp_path):
    """It may come to its end when the memory of its request is somebody else's."""
    gate, ended = tmp_path / "gate", tmp_path / "ended"
    os.mkfifo(gate)
    os.mkfifo(ended)
    f = front("""
import os
def handle(data, context):
    if data is None:
        return None
    if os.fork():
        return [b"worker" * 5000]
    open(%r).read()
    global kept
    kept = open(%r, "w")    # until it ends
    return [b"child!" * 5000]
""" % (str(gate), str(ended)))
    f.run([b""], grant=(8192, 65536))
    assert f.replies(1)[0].body == b"worker" * 5000
    another = b"other." * 5000
    f.outbound[8192:8192 + len(another)] = another
    gate.write_text("")
    assert ended.read_bytes() == b""
    assert f.outbound[8192:8192 + len(another)] == another


def test_what_a_handler_starts_has_not_the_workers_socket(front):
    f = front("""
import os
def handle(data, context):
    if data is None:
        return None
    return [os.system("ls -l /proc/self/fd | grep -q socket:")]
""")
    f.run([b""])
    assert f.replies(1)[0].body != b"0"


def test_what_a_coroutine_forks_does_not_go_on_in_its_loop(front, tmp_path):
    """It would wait at what the worker waits at, and take in what is to wake that."""
    ended = tmp_path / "ended"
    os.mkfifo(ended)
    f = front("""
import asyncio
import os
async def handle(data, context):
    if data is None:
        return None
    if os.fork() == 0:
        global kept
        kept = open(%r, "w")    # until it ends
        await asyncio.sleep(0)
        print("went on", file=kept, flush=True)
    return [b"worker"]
""" % str(ended))
    f.run([b""])
    assert f.replies(1)[0].body == b"worker"
    assert ended.read_bytes() == b""
    f.run([b""])
    assert f.replies(1)[0].body == b"worker"
    assert ended.read_bytes() == b""


def test_a_metric_of_a_task_that_is_left_over_waits_for_no_request(front, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    f = front("""
import asyncio
async def later(context):
    await asyncio.get_running_loop().run_in_executor(None, lambda: open(%r).read())
    context.metrics.add_counter("later", 1)
async def handle(data, context):
    if data is None:
        return None
    global task
    task = asyncio.ensure_future(later(context))
    return [b"x"]
""" % str(gate))
    f.run([b""])
    assert f.replies(1)[0].body == b"x"
    gate.write_text("")
    assert [m["name"] for m in json.loads(f.receive(wire.METRIC)[1])] == ["later"]


def test_a_handler_that_puts_another_json_in_place(front):
    """Its own answers are made by that, as in TorchServe; what the worker says is not."""
    f = front("""
import json
json.dumps = lambda value, **options: b"bytes, as orjson makes them"
def handle(data, context):
    if data is None:
        return None
    context.metrics.add_counter("n", 1)
    return ["x"]
""")
    f.run([b""])
    assert [m["name"] for m in json.loads(f.receive(wire.METRIC)[1])] == ["n"]
    assert f.replies(1)[0].body == b"x"


def test_a_handler_that_ends_the_process_leaves_no_thread_to_wait_for(front):
    f = front("""
import threading
def handle(data, context):
    if data is None:
        return None
    threading.Thread(target=threading.Event().wait).start()
    raise SystemExit(7)
""")
    f.run([b""])
    assert f.process.wait(30) == 7


def test_standard_streams_that_a_handler_has_closed(front):
    f = front("""
import sys
def handle(data, context):
    if data is None:
        return None
    sys.stderr.close()
    raise ValueError("nobody reads this")
""")
    for _ in range(2):
        f.run([b""])
        assert f.replies(1)[0].status == 503


def test_what_the_end_of_a_sequence_raises_is_only_told(front):
    f = front("""
class H:
    def initialize(self, context):
        context.sequence_ended = lambda ident: 1 / 0
    def handle(self, data, context):
        return ["x"] * len(data)
""")
    f.send(wire.SEQUENCE_OVER, 0, b"s-1")
    f.run([b""])
    assert f.replies(1)[0].body == b"x"
    assert "ZeroDivisionError" in f.close()[1]


@pytest.mark.parametrize("message", ["'a\\ud800'", "Mute()"])
def test_loading_fails_with_words_that_cannot_be_sent(front, message):
    f = front("""
class Mute:
    def __str__(self):
        raise RuntimeError("no words")
class H:
    def initialize(self, context):
        raise ValueError(%s)
    def handle(self, data, context):
        pass
""" % message)
    assert f.loaded_code == 500 and f.loaded["message"].startswith("ValueError")
    assert f.loaded["message"].encode(), "a document without lone surrogates"
