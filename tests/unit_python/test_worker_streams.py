# SPDX-License-Identifier: Apache-2.0
"""Pieces of streams: each goes to its own request, from whatever thread and whenever; and what
arrives while one waits for memory."""

import os
import socket
from types import SimpleNamespace

import pytest

from sconce import frame as wire
from sconce import aserving, ranks
from sconce.channel import Channel, Closed
from sconce.memory import Memory
from sconce.serving import Session

from ts.context import Context

LEFT_OVER = """
import asyncio
import threading
from ts.handler_utils.utils import send_intermediate_predict_response as send
go = threading.Event()
threads = []
def leave(ids, context):
    go.wait()
    for size in (1, 100000):
        send([b"from A" * size], ids, "", 200, context)
%s handle(data, context):
    if data is None:
        return None
    if data[0]["body"] == b"A":
        threads.append(threading.Thread(target=leave, args=(context.request_ids, context)))
        threads[0].start()
        return ["A is over"]
    go.set()
    %s
    send([b"from B"], context.request_ids, "", 200, context)
    return ["B is over"]
"""


@pytest.mark.parametrize("how,wait", [
    ("def", "threads[0].join()"),
    ("async def", "threads[0].join()"),
    ("async def", "await asyncio.get_running_loop().run_in_executor(None, threads[0].join)")])
def test_a_thread_that_is_left_over_reaches_nobody_else(front, how, wait):
    f = front(LEFT_OVER % (how, wait))
    f.run([b"A"], uuids=True)
    assert [r.body for r in f.replies(1)] == [b"A is over"]
    f.run([b"B"], first=2, uuids=True)
    assert [(r.id, r.body) for r in f.replies(1)] == [(2, b"from B"), (2, b"B is over")]


def test_pieces_go_to_the_requests_they_are_for(front):
    f = front("""
from ts.handler_utils.utils import send_intermediate_predict_response as send
def handle(data, context):
    if data is None:
        return None
    ids = context.request_ids
    send({1: "one"}, {1: ids[1]}, "", 200, context)
    context.set_response_header(0, "X", "zero's")
    send(["zero", "one"], {0: ids[0], 1: ids[1], 2: "somebody else"}, "", 200, context)
    send(["too few"], ids, "", 200, context)
    return ["end 0", "end 1"]
""")
    f.run([b"", b""], batch_size=2, uuids=True)
    seen = [(r.id, r.body, r.error, r.headers) for r in f.replies(2)]
    assert seen == [(2, b"one", False, {}), (1, b"zero", False, {"X": "zero's"}),
                    (2, b"one", False, {}), (1, b"too few", False, {"X": "zero's"}),
                    (2, b"number of batch response mismatched", True, {}),
                    (1, b"end 0", False, {"X": "zero's"})]


THREADS = """
import asyncio
import threading
from ts.handler_utils.utils import send_intermediate_predict_response as send
def stream(ids, context, n):
    for i in range(20):
        send([b"%%d " %% n * (50000 if i %% 5 == 0 else 1)], ids, "", 200, context)
def all_of_them(context):
    threads = [threading.Thread(target=stream, args=(context.request_ids, context, n))
               for n in range(8)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        context.is_cancelled()
    for t in threads:
        t.join()
%s handle(data, context):
    if data is None:
        return None
    %s
    return ["end"]
"""


@pytest.mark.parametrize("how,run", [
    ("def", "all_of_them(context)"),
    ("async def", "await asyncio.get_running_loop().run_in_executor(None, all_of_them, context)")])
def test_threads_stream_at_once(front, how, run):
    f = front(THREADS % (how, run))
    f.run([b""], uuids=True)
    if "async" in how:    # and frames come in while they do
        f.run([b""], first=2, uuids=True)
    expected = sorted(b"%d " % n * (50000 if i % 5 == 0 else 1)
                      for n in range(8) for i in range(20))
    replies = f.replies(2 if "async" in how else 1)
    for ident in {r.id for r in replies}:
        mine = [r.body for r in replies if r.id == ident]
        assert sorted(mine[:-1]) == expected and mine[-1] == b"end"


def test_a_batch_that_comes_while_a_piece_waits_for_memory_is_run(front):
    f = front("""
import asyncio
from ts.handler_utils.utils import send_intermediate_predict_response as send
events = {}
async def handle(data, context):
    if data is None:
        return None
    if data[0]["body"] == b"A":
        events["A"] = asyncio.Event()
        send([b"x" * 100000], context.request_ids, "", 200, context)
        await events["A"].wait()
        return ["A"]
    events["A"].set()
    return ["B"]
""")
    f.run([b"A"], uuids=True)
    ident, _ = f.receive(wire.NEED)
    f.run([b"B"], first=2, uuids=True)
    f.send(wire.GRANT, ident, wire.pack_u64(8192) + wire.pack_u64(1 << 20))
    assert [r.body for r in f.replies(2) if r.final] == [b"B", b"A"]


STEPS = """
class Steps:
    def initialize(self, context):
        self.steps = 0
    def handle(self, data, context):
        bodies = [bytes(row["body"]) if row and not isinstance(row["body"], dict) else b""
                  for row in data]
        self.steps += 1
        %s
        return [b"step"] * len(data)
"""
NEVER = "context.stopping_criteria = [lambda out: False] * len(data)"


def test_asking_for_one_client_forgets_no_other(front):
    """The answer to is_cancelled() comes from the frames about all requests."""
    f = front("from ts.handler_utils.utils import send_intermediate_predict_response as send"
              + STEPS % ("""if self.steps == 1:
            send(["asks"] * 2, context.request_ids, "", 200, context)
            while not context.is_cancelled(0):
                pass
        """ + NEVER), continuous_batching=True)
    f.run([b"a", b"b"], uuids=True)
    f.receive(wire.CHUNK)
    f.send(wire.CANCEL, 2)
    f.send(wire.CANCEL, 1)
    assert {r.id: r.status for r in f.replies(2) if r.final} == {1: 499, 2: 499}
    f.run([b"c"], first=3, uuids=True)
    f.receive(wire.CHUNK)
    f.send(wire.STOP, 0)
    f.send(wire.CANCEL, 3)
    f.replies(1)
    assert f.process.wait(30) == 0


def test_explanations_take_turns_with_streams(front, tmp_path):
    """They go alone; of many that wait none keeps the others from their next step."""
    go = tmp_path / "go"
    f = front("import os\nfrom ts.handler_utils.utils import "
              "send_intermediate_predict_response as send" + STEPS % f"""if self.steps == 1:
            send(["begun"], context.request_ids, "", 200, context)
            while not os.path.exists({str(go)!r}):
                pass
        context.stopping_criteria = [lambda out: self.steps > 1] * len(data)
        """, continuous_batching=True)
    f.run([b"{}"], uuids=True)
    f.receive(wire.CHUNK)
    f.run([b"{}"] * 3, first=2, uuids=True, flags=wire.RUN_EXPLAIN)
    go.touch()
    assert [r.id for r in f.replies(4)] == [1, 2, 1, 3, 4]


@pytest.mark.parametrize("what,media,code", [
    ("a criterion that raises", "", "context.stopping_criteria = [(lambda out: 1 / 0) if b == b'x' "
     "else (lambda out: self.steps > 1) for b in bodies]"),
    ("a criterion that raises no Exception", "", "def stop(out): raise GeneratorExit\n        "
     "context.stopping_criteria = [stop if b == b'x' "
     "else (lambda out: self.steps > 1) for b in bodies]"),
    ("processors that are missing", "", "del context.request_processor[1:]\n        "
     "context.stopping_criteria = [lambda out: self.steps > 1] * len(data)"),
    ("nested JSON", "application/json",
     "context.stopping_criteria = [lambda out: self.steps > 1] * len(data)"),
    ("a bad header", "", "b'x' in bodies and context.set_response_header("
     "bodies.index(b'x'), 'X', '\\n')\n        "
     "context.stopping_criteria = [lambda out: self.steps > 1] * len(data)"),
])
def test_one_request_of_a_step_fails_alone(front, what, media, code):
    f = front(STEPS % code, continuous_batching=True)
    bodies = [b"{}", b"x", b"{}"] if what != "nested JSON" else [b"{}", b"[" * 100000, b"{}"]
    f.run(bodies, uuids=True, media=media)
    replies = f.replies(3)
    for ident in (1, 3):
        mine = [r for r in replies if r.id == ident]
        assert [r.body for r in mine] == [b"step", b"step"]
        assert [r.headers["ts_stream_next"] for r in mine] == ["true", "false"]
    culprit = [r for r in replies if r.id == 2]
    assert len([r for r in culprit if r.final]) == 1
    assert culprit[-1].error == (what == "a bad header" or what.startswith("a criterion"))


def make_session():
    return Session(SimpleNamespace(), Memory(), {"batch_size": 1, "max_response_size": 1}, None,
                   SimpleNamespace(stopping_criteria=None, begin_batch=lambda requests: ()))


def test_a_piece_for_a_batch_that_ends_meanwhile_is_dropped():
    """A thread found it, and it is gone."""
    loop = aserving.AsyncLoop(make_session())
    loop.views["request"] = aserving._View(loop, Context("m", ".", {}, 1, None, None), ())
    loop.send_intermediate(["piece"], {0: "request"})


def test_who_has_left_the_front_has_left_its_peers():
    """As what a handler forks has: peers would take steps that are not rank 0's."""
    ours, front = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    lead = ranks.Lead(ours.detach(), Memory())
    socket.send_fds(front, [wire.frame(wire.PEER, 1)], [its.fileno()])
    its.close()
    lead.receive()
    lead.close()
    with pytest.raises((Closed, OSError)):
        lead.step({}, [])
    assert peer.recv(wire.FRAME_MAX, socket.MSG_DONTWAIT) == b""


def test_what_opens_a_window_is_not_remembered_without_bound():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = Channel(theirs.detach())
    opened = []
    channel.on_flow = opened.append
    with ours:
        for i in range(100):
            ours.send(wire.frame(wire.WINDOW, i, wire.pack_u64(1)))
            if i == 50:
                ours.send(wire.frame(wire.TUNE, 1))
            channel.poll()
        kept = [channel.receive()[0] for _ in range(3)]
        channel.close()
    assert len(opened) == 100
    assert kept == [wire.WINDOW, wire.TUNE, wire.WINDOW]


def test_cancelled_requests_are_not_remembered_without_bound():
    session = make_session()
    for ident in range(100000):
        session.channel.on_flow((wire.CANCEL, 0, ident, b"", 0, ()))
    assert len(session.cancelled) <= 4096 and 99999 in session.cancelled


def test_a_rank_beside_the_first_keeps_what_is_sent_ahead():
    """As many bodies as there may be requests, before any of them is begun."""
    memory = ranks.PeerMemory()
    for ident in range(1, 1025):
        fd = os.memfd_create("body")
        os.ftruncate(fd, 8)
        memory.add_segment(ident, 8, fd)
    assert bytes(memory.read(1, 0, 8)) == bytes(8)


@pytest.mark.parametrize("criteria", [list, lambda c: dict(enumerate(c))])
def test_every_rank_asks_the_criteria(criteria):
    session = make_session()
    asked = []
    session.context.stopping_criteria = criteria([asked.append, asked.append])
    session.fields = lambda request: {}
    session.entry = lambda rows, context: ["out 0", "out 1"]
    requests = {i: SimpleNamespace(id=i, flags=0) for i in (1, 2)}
    ranks._follow(session, requests, {"active": [1, 2], "chosen": [1, 2]})
    assert asked == ["out 0", "out 1"]


SLOW = """
import asyncio
import threading
from ts.handler_utils.utils import send_intermediate_predict_response as send
def pieces(context, n, size):
    for i in range(n):
        send([bytes([i %% 256]) * size], context.request_ids, "", 200, context)
%s handle(data, context):
    if data is None:
        return None
    if data[0]["body"] == b"other":
        return ["other"]
    n, size = map(int, bytes(data[0]["body"]).split())
    %s
    return ["end"]
"""
IN_LOOP = ("async def", "pieces(context, n, size)")
IN_THREAD = ("async def", "await asyncio.get_running_loop().run_in_executor(None, pieces, context, "
             "n, size)")


def taken(f, replies, most):
    """Reads on until that many bytes of pieces are there, without opening the window."""
    while sum(len(r.body) for r in replies) < most:
        kind, count, ident, data = f.receive_any()
        if kind == wire.NEED:
            f.grant(ident, wire.read_u64(data, wire.HEAD, len(data)))
        elif kind == wire.CHUNK:
            replies += f.read_replies(data, count)


@pytest.mark.parametrize("how,run", [("def", "pieces(context, n, size)"), IN_LOOP, IN_THREAD])
@pytest.mark.parametrize("size", [8000, 100000])
def test_a_client_that_does_not_read_is_waited_for(front, how, run, size):
    f = front(SLOW % (how, run))
    n = 2 * wire.WINDOW_BYTES // size
    f.run([b"%d %d" % (n, size)], uuids=True)
    replies = []
    taken(f, replies, wire.WINDOW_BYTES)
    assert not any(r.final for r in replies)
    assert sum(len(r.body) for r in replies[:-1]) < wire.WINDOW_BYTES
    if "async" in how:     # it keeps nobody else
        f.run([b"other"], first=2, uuids=True)
        assert [(r.id, r.body) for r in f.replies(1)] == [(2, b"other")]
    f.send(wire.WINDOW, 1, wire.pack_u64(sum(len(r.body) for r in replies)))
    replies += f.replies(1)
    assert replies.pop().body == b"end"
    assert [r.body for r in replies] == [bytes([i % 256]) * size for i in range(n)]


NON_BLOCKING = """
import asyncio, os
class Loop(asyncio.SelectorEventLoop):
    def add_reader(self, fd, *rest):
        os.set_blocking(fd, False)
        return super().add_reader(fd, *rest)
class Policy(asyncio.DefaultEventLoopPolicy):
    _loop_factory = Loop
asyncio.set_event_loop_policy(Policy())
"""


def test_an_event_loop_that_makes_what_it_looks_at_non_blocking(front):
    """As uvloop does; threads of the handler wait as ever."""
    f = front(NON_BLOCKING + SLOW % IN_THREAD)
    f.run([b"3 100000"], uuids=True)
    replies = []
    taken(f, replies, 300000)
    replies += f.replies(1)
    assert [r.body for r in replies] == [bytes([i]) * 100000 for i in range(3)] + [b"end"]


@pytest.mark.parametrize("how,run", [("def", "pieces(context, n, size)"), IN_LOOP, IN_THREAD])
def test_a_client_that_leaves_is_not_waited_for(front, how, run):
    f = front(SLOW % (how, run))
    f.run([b"30 100000"], uuids=True)
    replies = []
    taken(f, replies, wire.WINDOW_BYTES)
    f.send(wire.CANCEL, 1)
    assert [r.id for r in f.replies(1)] == [1]
    f.run([b"other"], first=2, uuids=True)
    assert [r.body for r in f.replies(1)] == [b"other"]


def test_memory_that_was_asked_anew_is_not_used_any_more(front):
    """A client that leaves meanwhile makes a piece go that was too large for it; the final reply
    would fit. By then the front has taken it back, and may have given it to another request."""
    f = front("""
from ts.handler_utils.utils import send_intermediate_predict_response as send
def handle(data, context):
    if data is None:
        return None
    send([b"p" * 100000], context.request_ids, "", 200, context)
    return [b"f" * 20000]
""")
    f.run([b""], grant=(8192, 65536))
    ident, _ = f.receive(wire.NEED)
    f.send(wire.CANCEL, ident)
    f.send(wire.GRANT, ident, wire.pack_u64(1 << 20) + wire.pack_u64(1 << 17))
    assert [r.body for r in f.replies(1)] == [b"f" * 20000]
    assert f.outbound[8192:8192 + 20000] == bytes(20000)


def test_what_waits_for_a_client_has_a_bound(front):
    f = front(SLOW % IN_LOOP)
    f.run([b"100 100000"], uuids=True)
    replies = []
    while not any(r.final for r in replies):
        taken(f, replies, sum(len(r.body) for r in replies) + 1)
    last = replies[-1]
    assert (last.status, last.body) == (507, b"The client takes its stream too slowly.")
    f.run([b"other"], first=2, uuids=True)
    assert [r.body for r in f.replies(1)] == [b"other"]


def test_stopping_waits_for_a_client_that_is_slow(front):
    f = front(SLOW % IN_LOOP)
    f.run([b"15 100000"], uuids=True)
    replies = []
    taken(f, replies, wire.WINDOW_BYTES)
    f.send(wire.STOP, 0)
    f.send(wire.WINDOW, 1, wire.pack_u64(wire.WINDOW_BYTES))
    replies += f.replies(1)
    assert len(replies) == 16 and replies[-1].body == b"end"
    assert f.process.wait(30) == 0


def test_a_slow_client_does_not_hold_the_steps_of_others(front):
    f = front("""
class Steps:
    def initialize(self, context):
        self.left = {}
    def handle(self, data, context):
        for i, row in enumerate(data):
            if row:
                self.left[context.get_request_id(i)] = list(
                    map(int, bytes(row["body"]).split()))
        rows = [self.left[context.get_request_id(i)] for i in range(len(data))]
        for row in rows:
            row[0] -= 1
        context.stopping_criteria = [lambda out, row=row: row[0] == 0 for row in rows]
        return [b"x" * row[1] for row in rows]
""", continuous_batching=True)
    f.run([b"15 100000", b"40 1"], uuids=True)
    replies = []
    while not any(r.id == 2 and r.final for r in replies) or (
            sum(len(r.body) for r in replies if r.id == 1) < wire.WINDOW_BYTES):
        taken(f, replies, sum(len(r.body) for r in replies) + 1)
    mine = [r for r in replies if r.id == 1]
    assert len(mine) == 11 and not mine[-1].final
    f.send(wire.STOP, 0)
    f.send(wire.WINDOW, 1, wire.pack_u64(wire.WINDOW_BYTES))
    mine += f.replies(1)
    assert [len(r.body) for r in mine] == [100000] * 15
    assert f.process.wait(30) == 0
