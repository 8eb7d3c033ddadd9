# SPDX-License-Identifier: Apache-2.0
"""batchSize and maxBatchDelay are bounds; whatever runs together, answers are never mixed up."""

import json
import os

import pytest

from e2e.archives import HANDLERS, make_mar
from e2e.gate import Gate, background
from e2e.server import assert_error, eventually

BATCH = 4


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    config = "minWorkers: 1\nmaxWorkers: 1\nbatchSize: {}\nmaxBatchDelay: {}\n"
    make_mar(store, "batch", "gate.py", config=config.format(BATCH, 50))
    make_mar(store, "single", "gate.py", config=config.format(1, 50))
    make_mar(store, "wide", "gate.py", config=config.format(8, 50))
    make_mar(store, "patient", "gate.py", config=config.format(8, 60000))
    make_mar(store, "fragile", "trouble.py", config=config.format(BATCH, 50))
    make_mar(store, "big", "echo.py", config=config.format(BATCH, 10))
    make_mar(store, "count", "count.py", config=config.format(BATCH, 10))
    return module_serve(store=store, default_response_timeout=60, max_header_size=16384)


def depth(server, model):
    return server.metric("sconce_queue_depth", model_name=model)


def pile_up(server, model, bodies, gate):
    """Keeps the worker busy until all `bodies` wait; returns their answers."""
    first = background(server.predict, model, gate.body(tag="first"))
    gate.wait_entered()
    waiting = [background(server.predict, model, body) for body in bodies]
    eventually(lambda: depth(server, model) == len(bodies), f"{len(bodies)} wait")
    gate.open()
    assert first.result().status_code == 200
    return [f.result() for f in waiting]


def test_what_waits_together_runs_together_within_the_bound(server, gate):
    bodies = [gate.body(tag=f"t{i}", fifo="") for i in range(10)]
    answers = [r.json() for r in pile_up(server, "batch", bodies, gate)]
    assert [a["tag"] for a in answers] == [f"t{i}" for i in range(10)]
    assert all(a["tag"] in a["with"] and len(a["with"]) == a["rows"] <= BATCH for a in answers)
    batches = {tuple(a["with"]) for a in answers}
    assert sorted(tag for b in batches for tag in b) == sorted(f"t{i}" for i in range(10))
    assert len(batches) == 3, "full batches while enough is waiting"


def test_batch_size_one_never_batches(server, gate):
    bodies = [gate.body(tag=f"t{i}", fifo="") for i in range(6)]
    answers = [r.json() for r in pile_up(server, "single", bodies, gate)]
    assert [a["rows"] for a in answers] == [1] * 6
    assert [a["with"] for a in answers] == [[f"t{i}"] for i in range(6)]


def test_a_lone_request_does_not_wait_out_the_delay(server, gate):
    """The delay is a minute and the client waits 20 s: a worker that is free does not wait."""
    answer = server.predict("patient", gate.body(tag="alone", fifo=""))
    assert answer.json()["rows"] == 1


FIXED = "minWorkers: 1\nmaxWorkers: 1\nbatchSize: 2\nmaxBatchDelay: 60000\n"


def waits_for_a_second(server, model):
    """Sends a request, and another one when the first waits; true if they ran together."""
    first = background(server.predict, model, json.dumps({"tag": "a", "calls": os.devnull}))
    eventually(lambda: first.done() or depth(server, model) == 1, "it runs, or waits")
    if first.done():
        return first.result().json()["rows"] != 1
    second = server.predict(model, json.dumps({"tag": "b", "calls": os.devnull}))
    rows = {first.result().json()["rows"], second.json()["rows"]}
    assert rows == {2}
    return True


def test_batch_mode(serve, tmp_path):
    """As `fixed` a batch that is not full waits, by the archive or by the setting."""
    make_mar(tmp_path, "fixed", "gate.py", config=FIXED + "batchMode: fixed\n")
    make_mar(tmp_path, "adaptive", "gate.py", config=FIXED + "batchMode: adaptive\n")
    make_mar(tmp_path, "unsaid", "gate.py", config=FIXED)
    for mode, waiting in ((None, {"fixed"}), ("fixed", {"fixed", "unsaid"})):
        server = serve(store=tmp_path, batch_mode=mode)
        for model in ("fixed", "adaptive", "unsaid"):
            assert waits_for_a_second(server, model) == (model in waiting), (mode, model)
            described, = server.describe(model)
            assert described.get("batchMode") == ("fixed" if model in waiting else None)
        server.stop()


def test_batch_size_histogram(server, gate):
    pile_up(server, "batch", [gate.body(fifo="") for _ in range(BATCH)], gate)
    assert server.metric("sconce_batch_size_bucket", model_name="batch", le=str(float(BATCH))) == \
        server.metric("sconce_batch_size_count", model_name="batch")


def test_failure_fails_the_whole_batch_with_one_code(server):
    """Whether two of these meet in one batch or not, each of them gets this very answer."""
    calls = [background(server.predict, "fragile", "prediction 418 teapot") for _ in range(8)]
    for call in calls:
        assert_error(call.result(), 418, "InternalServerException", "teapot")
    assert server.predict("fragile", "fine").text == "fine"


def test_large_bodies_in_batches_are_not_mixed_up(server):
    bodies = [bytes([i]) * (300_000 + i) for i in range(24)]
    calls = [background(server.predict, "big", body) for body in bodies]
    assert [call.result().content == body for call, body in zip(calls, bodies)] == [True] * 24


def test_empty_and_large_bodies_together(server):
    bodies = [b"" if i % 2 else bytes([65 + i]) * 100_000 for i in range(24)]
    calls = [background(server.predict, "big", body) for body in bodies]
    assert [call.result().content == body for call, body in zip(calls, bodies)] == [True] * 24


def test_describe_travels_alone(server):
    calls = [background(server.predict, "count", b"") for _ in range(20)]
    described = [background(server.manage, "GET", "/models/count?customized=true")
                 for _ in range(5)]
    assert all(c.result().status_code == 200 for c in calls)
    for d in described:
        assert d.result().json()[0]["customizedMetadata"]["nested"] == {"a": [1, 2]}


def test_poisonous_request_in_a_batch_fails_alone(server):
    calls = {i: background(server.predict, "fragile", "abort" if i == 5 else f"good {i}")
             for i in range(12)}
    for i, call in calls.items():
        if i == 5:
            assert_error(call.result(), 500, "InternalServerException", "Worker died.")
        else:
            assert call.result().text == f"good {i}"


def test_batch_parameters_of_the_api(server, gate):
    response = server.register("single.mar", model_name="by_api", batch_size=3,
                               max_batch_delay=20, initial_workers=1)
    assert response.status_code == 200
    model, = server.describe("by_api")
    assert (model["batchSize"], model["maxBatchDelay"]) == (3, 20)
    bodies = [gate.body(tag=f"t{i}", fifo="") for i in range(6)]
    answers = [json.loads(r.text) for r in pile_up(server, "by_api", bodies, gate)]
    assert max(a["rows"] for a in answers) == 3
    assert server.manage("DELETE", "/models/by_api").status_code == 200


# ---- job tickets ----

def test_with_tickets_nothing_waits(serve, tmp_path, gate):
    make_mar(tmp_path / "store", "gate", "gate.py",
             config="minWorkers: 2\nmaxWorkers: 2\nuseJobTicket: true\n")
    server = serve(store=tmp_path / "store")
    gates = [gate, Gate(tmp_path, "other")]
    running = [background(server.predict, "gate", g.body(tag="in")) for g in gates]
    for g in gates:
        g.wait_entered()
    assert_error(server.predict("gate", gate.body(tag="out")), 503, "ServiceUnavailableException",
                 'Model "gate" has no worker to serve inference request. Please use scale '
                 'workers API to add workers. If this is a sequence inference, please check if '
                 'it is closed, or expired; or exceeds maxSequenceJobQueueSize. '
                 'No worker is free (useJobTicket)')
    assert server.describe("gate")[0]["useJobTicket"] is True
    for g in gates:
        g.open()
    assert [f.result().status_code for f in running] == [200, 200]
    assert gate.entries() == ["in"]


def test_a_batch_is_as_large_as_a_frame(server, gate):
    """Eight requests of 9 KB of headers fit no frame to a worker together."""
    headers = {f"X-Long-{i}": "x" * 4500 for i in range(2)}
    first = background(server.predict, "wide", gate.body(tag="first"))
    gate.wait_entered()
    waiting = [background(server.predict, "wide", gate.body(tag=str(i), fifo=""),
                          headers=headers) for i in range(8)]
    eventually(lambda: depth(server, "wide") == 8, "8 wait")
    gate.open()
    assert first.result().status_code == 200
    answers = [w.result() for w in waiting]
    assert [a.status_code for a in answers] == [200] * 8
    assert sorted(a.json()["tag"] for a in answers) == [str(i) for i in range(8)]


def test_what_fits_no_frame_is_refused(server):
    """A field name of 64 KiB, as `curl -d` makes it of a text that ends with `=`."""
    response = server.predict("big", b"x" * 70_000 + b"=",
                              headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert response.status_code == 413, response.text
    assert "Send long texts as values" in response.text
    assert server.predict("big", b"still").content == b"still"


@pytest.mark.parametrize("path,special", [("/predictions/first", "describe"),
                                          ("/invocations?model_name=first", "explain")])
def test_a_clients_header_decides_for_no_other(serve, tmp_path, gate, path, special):
    """Handlers ask the first request of a batch what it is to be, as BaseHandler does."""
    make_mar(tmp_path / "store", "first", """
import json
from gate_at import enter
class First:
    def handle(self, data, context):
        if context.get_request_header(0, "%s") == "True":
            return ["special"]
        if data[0]["body"]:
            enter(json.loads(bytes(data[0]["body"])))
        return ["usual"] * len(data)
""" % special, config="batchSize: 4\nmaxBatchDelay: 50\nminWorkers: 1\nmaxWorkers: 1\n",
             files={"gate_at.py": (HANDLERS / "gate.py").read_text()})
    server = serve(store=tmp_path / "store")
    first = background(server.predict, "first", gate.body())
    gate.wait_entered()
    odd = background(server.call, "POST", path, headers={special: "True"})
    eventually(lambda: depth(server, "first") == 1)
    others = [background(server.predict, "first") for _ in range(2)]
    eventually(lambda: depth(server, "first") == 3)
    gate.open()
    assert [f.result().text for f in (first, odd, *others)] == ["usual", "special", "usual",
                                                                "usual"]
