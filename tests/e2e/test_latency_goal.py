# SPDX-License-Identifier: Apache-2.0
"""latency_goal_ms: what would be answered too late is refused at once, with a time to come back."""

import re
import subprocess
import time

import pytest

from e2e.archives import HANDLERS, make_mar
from e2e.client import Raw, encode
from e2e.gate import Gate, background
from e2e.server import BIN, eventually
from e2e.test_sequences import add, make_ledger

ONE = "minWorkers: 1\nmaxWorkers: 1\n"
KNOWN = 3   # batches that are seen before anything is refused


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    make_mar(store, "free", "gate.py", config=ONE)
    for name, goal in (("second", 1000), ("instant", 1)):
        make_mar(store, name, "gate.py", config=f"{ONE}latency_goal_ms: {goal}\n")
    make_ledger(store, latency_goal_ms=1)
    # What is sent to a worker ahead of time would not be seen to wait.
    return module_serve(store=store, default_response_timeout=60, frame_batching=False,
                        ts_open_inference_protocol=True)


def goal_metric(server, what, model):
    return server.metric(f"sconce_latency_goal_{what}_total", model_name=model)


def held(server, model, gate, tag="held"):
    """A call that is at the gate."""
    before = len(gate.entries())
    call = background(server.predict, model, gate.body(tag=tag))
    gate.wait_entered(before + 1)
    return call


def ask_until_refused(server, model, gate):
    """The longer a batch has hung, the longer it is thought to go on: others come meanwhile until
    one is refused. That answer, and the calls that were not."""
    admitted = []

    def refused():
        # Who is refused is so at once; who is not waits behind the one at the gate.
        call = background(server.predict, model, gate.body(tag="more", fifo=""))
        count = goal_metric(server, "refusals", model)
        eventually(lambda: call.done() or goal_metric(server, "refusals", model) > count
                   or server.metric("sconce_queue_depth", model_name=model) > len(admitted))
        if not call.done():
            admitted.append(call)
            return None
        return [call.result()]   # a response that is an error is false

    answer, = eventually(refused)
    return answer, admitted


def learn(server, model, gate):
    for _ in range(KNOWN + 1):
        assert server.predict(model, gate.body(fifo="")).status_code == 200


def test_too_much_is_before_it(server, gate):
    learn(server, "second", gate)
    running = held(server, "second", gate)
    answer, admitted = ask_until_refused(server, "second", gate)
    assert answer.status_code == 429
    assert answer.json()["type"] == "TooManyRequestsException"
    assert re.fullmatch(r'Model "second" Version 1\.0 has no worker for this request in time\. It '
                        r"would be answered after about \d+ ms, and latency_goal_ms is 1000\. Try "
                        r"again later\.", answer.json()["message"])
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    kserve = server.call("POST", "/v2/models/second/infer", data=gate.body(fifo=""))
    assert kserve.status_code == 429
    assert int(kserve.headers["Retry-After"]) >= 1
    assert kserve.json()["type"] == "TooManyRequestsException"
    assert goal_metric(server, "refusals", "second") == 2
    eventually(lambda: re.search(r"is refused with 429: model second version 1\.0 has no worker "
                                 r"for it\. It would be answered after", server.log("ts_log.log")))
    gate.open()
    # Whoever was let in is answered, late or not.
    assert {call.result().status_code for call in (running, *admitted)} == {200}
    assert goal_metric(server, "misses", "second") >= 1
    # And with a worker that is free everybody is let in again.
    assert server.predict("second", gate.body(fifo="")).status_code == 200


def test_no_worker_is_fast_enough(server, gate):
    """All that is known are calls that took far more than the goal."""
    for _ in range(KNOWN + 1):
        call = held(server, "instant", gate)
        assert goal_metric(server, "refusals", "instant") == 0
        gate.open()
        assert call.result().status_code == 200, "a free worker refuses nobody"
    running = held(server, "instant", gate)
    answer = server.predict("instant", gate.body(fifo=""))
    assert answer.status_code == 503
    assert answer.json()["type"] == "ServiceUnavailableException"
    assert re.search(r"All are busy, and this request would take one about \d+ ms: more than "
                     r"latency_goal_ms, 1\. Try again later\.", answer.json()["message"])
    assert int(answer.headers["Retry-After"]) >= 1
    gate.open()
    assert running.result().status_code == 200
    assert goal_metric(server, "misses", "instant") == KNOWN + 2
    assert goal_metric(server, "refusals", "instant") == 1


COST_S = 0.3    # of each request, beside others or not
PACED = f"""
import time
import gate
def handle(data, context):
    if data is None:
        return None
    time.sleep({COST_S} * len(data))    # tidy: allow banned: it is what this model costs
    return gate.handle(data, context)
"""


def batches_behind(server, model, gate, n):
    """The sizes of the batches in which those run that came while one was at the gate, where all
    of these were let in; a busy machine may think that some would be late."""
    running = held(server, model, gate)
    waiting = [background(server.predict, model, gate.body(tag="more", fifo=""))
               for _ in range(n)]

    def depth():
        return server.metric("sconce_queue_depth", model_name=model)
    eventually(lambda: depth() + sum(c.done() for c in waiting) == n)
    let_in = depth() == n
    gate.open()
    running.result()
    rows = [c.result().json().get("rows") for c in waiting]
    return rows if let_in else None


def test_a_batch_takes_no_more_than_half_of_the_goal(serve, tmp_path, gate):
    """What takes 2.1 s alone takes several batches where the goal is 3 s."""
    store, n = tmp_path / "store", 7
    for name, goal in (("free", ""), ("bound", f"latency_goal_ms: {int(COST_S * 1e4)}\n")):
        make_mar(store, name, PACED, files={"gate.py": (HANDLERS / "gate.py").read_text()},
                 config=f"{ONE}batchSize: 8\nbatchMode: fixed\nmaxBatchDelay: 1\n{goal}")
    server = serve(store=store, default_response_timeout=60, frame_batching=False)
    for name in ("free", "bound"):
        learn(server, name, gate)
    assert batches_behind(server, "free", gate, n) == [n] * n
    rows = eventually(lambda: batches_behind(server, "bound", gate, n))
    assert 1 <= max(rows) <= 5 and min(rows) < n


STREAM = """
import json
import gate
from ts.handler_utils.utils import send_intermediate_predict_response
def handle(data, context):
    if data is None:
        return None
    wish = json.loads(bytes(data[0]["body"]))
    gate.enter(wish)
    send_intermediate_predict_response(["first"], context.request_ids, "", 200, context)
    gate.enter(wish)
    return ["last"]
"""


def test_a_stream_is_in_time_by_its_first_piece(serve, tmp_path, gate):
    store = tmp_path / "store"
    files = {"gate.py": (HANDLERS / "gate.py").read_text()}
    for name, goal in (("late", 1), ("long", 60_000)):
        make_mar(store, name, STREAM, files=files, config=f"{ONE}latency_goal_ms: {goal}\n")
    server = serve(store=store, default_response_timeout=60)
    for turn, (name, misses) in enumerate((("late", 1), ("long", 0))):
        with Raw(server.inference) as client:
            client.send(encode("POST", f"/predictions/{name}", gate.body()))
            gate.wait_entered(2 * turn + 1)
            late = time.monotonic() + 0.01      # more than the goal of one of them
            eventually(lambda at=late: time.monotonic() > at)
            assert goal_metric(server, "misses", name) == 0
            gate.open()
            client.head()
            assert client.chunk() == b"first"
            gate.wait_entered(2 * turn + 2)
            assert goal_metric(server, "misses", name) == misses
            gate.open()
            assert client.chunk() == b"last"
            assert client.chunk() == b""
            assert goal_metric(server, "misses", name) == misses


def test_a_cold_model_refuses_nobody(serve, tmp_path, gate):
    make_mar(tmp_path / "store", "instant", "gate.py", config=f"{ONE}latency_goal_ms: 1\n")
    server = serve(store=tmp_path / "store")
    running = held(server, "instant", gate)
    waiting = [background(server.predict, "instant", gate.body(fifo="")) for _ in range(5)]
    eventually(lambda: server.metric("sconce_queue_depth", model_name="instant") == 5)
    gate.open()
    assert {call.result().status_code for call in (running, *waiting)} == {200}
    assert goal_metric(server, "refusals", "instant") == 0
    assert goal_metric(server, "misses", "instant") >= 1


def test_sequences_are_not_sent_away(server, tmp_path):
    """Their state is in one worker; what belongs to none is refused meanwhile."""
    gate = Gate(tmp_path, "ledger")
    for number in range(KNOWN + 1):
        add(server, number, seq="goal", start=not number)
    running = background(add, server, gate.body(add=1), seq="goal")
    gate.wait_entered()
    waiting = []

    def refused():
        call = background(add, server, gate.body(add=1, fifo=""))
        depth = len(waiting)
        eventually(lambda: call.done()
                   or server.metric("sconce_queue_depth", model_name="ledger") > depth)
        if not call.done():
            waiting.append(call)
        return call.done() and call.result().status_code in (429, 503)

    eventually(refused)
    more = background(add, server, gate.body(add=1, fifo=""), seq="goal")
    eventually(lambda: server.metric("sconce_queue_depth", model_name="ledger")
               == len(waiting) + 1)
    gate.open()
    assert [call.result().json()["sum"] for call in (running, more)] == [7, 8]
    assert all(call.result().status_code == 200 for call in waiting)


def test_where_a_goal_comes_from(server):
    assert server.describe("second")[0]["latencyGoalMs"] == 1000
    assert "latencyGoalMs" not in server.describe("free")[0]
    for said, goal in (("250", 250), ("0", None), ("x", 1000), (None, 1000)):
        parameters = {} if said is None else {"latency_goal_ms": said}
        assert server.register("second.mar", model_name="asked", **parameters).status_code == 200
        assert server.describe("asked")[0].get("latencyGoalMs") == goal
        assert server.manage("DELETE", "/models/asked").status_code == 200
    done = subprocess.run(
        [BIN / "sconce", "models", "register", "free.mar", "--name", "asked", "--latency-goal-ms",
         "70", "--address", f"http://127.0.0.1:{server.management}"],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert server.describe("asked")[0]["latencyGoalMs"] == 70
    shown = subprocess.run(
        [BIN / "sconce", "models", "describe", "asked", "--address",
         f"http://127.0.0.1:{server.management}"],
        capture_output=True, text=True, timeout=60, check=False)
    assert re.search(r"goal +70 ms until an answer begins", shown.stdout), shown
    assert server.manage("DELETE", "/models/asked").status_code == 200


def test_a_snapshot_has_the_goal(serve, tmp_path):
    make_mar(tmp_path / "store", "free", "gate.py", config=ONE)
    make_mar(tmp_path / "store", "second", "gate.py", config=f"{ONE}latencyGoalMs: 1000\n")
    server = serve(store=tmp_path / "store", no_config_snapshots=None, load_models=None)
    assert server.register("free.mar", latency_goal_ms=40).status_code == 200
    assert server.register("second.mar", latency_goal_ms=0).status_code == 200
    server.kill()
    again = serve(store=tmp_path / "store", root=server.root, no_config_snapshots=None,
                  load_models=None)
    eventually(lambda: again.model_ready("free") and again.model_ready("second"))
    assert again.describe("free")[0]["latencyGoalMs"] == 40
    assert "latencyGoalMs" not in again.describe("second")[0]
