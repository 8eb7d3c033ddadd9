# SPDX-License-Identifier: Apache-2.0
"""Spans over OTLP, read by opentelemetry-proto."""

import json
import re
import signal
import subprocess
import threading
import time
import uuid

import pytest
import requests

from e2e.archives import make_mar
from e2e.collector import Collector
from e2e.server import BIN, eventually
from e2e.test_native import make_model

PLAIN = '''
class Plain:
    def initialize(self, context):
        self.context = context

    def preprocess(self, data):
        return [bytes(row["body"]).decode() for row in data]

    def inference(self, rows):
        if "fail" in rows:
            raise ValueError("as asked")
        return rows

    def postprocess(self, rows):
        return [self.context.get_request_header(i, "traceparent") or "none"
                for i in range(len(rows))]

    def handle(self, data, context):
        return self.postprocess(self.inference(self.preprocess(data)))
'''
FUNCTION = PLAIN + '''

_service = Plain()


def handle(data, context):
    if data is None:
        return _service.initialize(context)
    return _service.handle(data, context)
'''
STREAM = '''
from ts.handler_utils.utils import send_intermediate_predict_response


class Stream:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        for i in range(3):
            send_intermediate_predict_response(["%d " % i], context.request_ids, "", 200, context)
        return ["end"]
'''
DIES = '''
import os


class Dies:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        path = bytes(data[0]["body"]).decode()
        if not os.path.exists(path):
            open(path, "w").close()
            os._exit(3)
        return ["survived"]
'''
WAITS = '''
import asyncio


class Waits:
    def initialize(self, context):
        pass

    async def handle(self, data, context):
        if bytes(data[0]["body"]) == b"long":
            await asyncio.Event().wait()
        return ["ok"]
'''
CONTINUOUS = '''
class Steps:
    def initialize(self, context):
        self.left = {}

    def handle(self, data, context):
        out = []
        context.stopping_criteria = []
        for i, row in enumerate(data):
            ident = context.request_ids[i]
            if ident not in self.left:
                self.left[ident] = int(bytes(row.get("data") or row.get("body")))
            out.append(str(self.left[ident]))
            self.left[ident] -= 1
            context.stopping_criteria.append(lambda value: value == "0")
        return out
'''
JSON = {"Content-Type": "application/json"}
STAGES = ("preprocess", "inference", "postprocess")
PYTHON = ("queue", "batch", "worker", "handler")


@pytest.fixture(scope="module")
def store(module_tmp):
    for name, source in (("plain", PLAIN), ("function", FUNCTION), ("stream", STREAM),
                         ("dies", DIES), ("waits", WAITS)):
        make_mar(module_tmp / "traced", name, source)
    make_mar(module_tmp / "traced", "batched", PLAIN,
             config="batchSize: 8\nmaxBatchDelay: 10000\nbatchMode: fixed\n")
    return module_tmp / "traced"


@pytest.fixture
def collector():
    c = Collector()
    yield c
    c.close()


def traced(serve, store, collector, models="plain", environment=None, **settings):
    settings = {"trace_endpoint": collector.url, "trace_interval_ms": 5, **settings}
    return serve(store=store, load_models=f"{models}.mar" if models else "",
                 environment=environment, **settings)


def parent(flags="01"):
    """A traceparent, and its trace's id and span's."""
    trace, span = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    return {"traceparent": f"00-{trace}-{span}-{flags}"}, trace, span


def request_span(collector, server, response):
    """The server's span of an answer."""
    ident = response.headers["x-request-id"]
    return eventually(lambda: [s for s in collector.find()
                               if s.facts.get("sconce.request.id") == ident], ident)[0]


def test_a_request_is_a_tree(serve, store, collector):
    server = traced(serve, store, collector)
    headers, trace, span = parent()
    answer = server.predict("plain", b"x", headers={
        **headers, "tracestate": "a=1", "user-agent": "ua"})
    spans = collector.tree(trace, ["POST /predictions/{model}", *PYTHON, *STAGES])
    root = spans["POST /predictions/{model}"]
    assert root.parent == span and root.message.kind == 2
    assert root.message.trace_state == "a=1" and root.message.flags == 0x301
    assert {k: root.facts[k] for k in (
        "http.request.method", "url.path", "url.scheme", "http.route",
        "http.response.status_code", "user_agent.original", "client.address",
        "network.protocol.version", "sconce.model.name", "sconce.request.id")} == {
        "http.request.method": "POST", "url.path": "/predictions/plain", "url.scheme": "http",
        "http.route": "/predictions/{model}", "http.response.status_code": 200,
        "user_agent.original": "ua", "client.address": "127.0.0.1",
        "network.protocol.version": "1.1", "sconce.model.name": "plain",
        "sconce.request.id": answer.headers["x-request-id"]}
    assert not root.failed
    for name, above in (("queue", root), ("batch", root), ("worker", spans["batch"]),
                        ("handler", spans["worker"]),
                        *((stage, spans["handler"]) for stage in STAGES)):
        assert spans[name].parent == above.id and spans[name].within(above), name
        assert spans[name].message.kind == 1
    batch = spans["batch"].facts
    assert (batch["sconce.model.name"], batch["sconce.model.version"]) == ("plain", "1.0")
    assert (batch["sconce.batch.size"], batch["sconce.worker.id"]) == (1, 9000)
    assert batch["sconce.worker.pid"] == server.worker_pids("plain")[0]
    assert root.resource["service.name"] == "sconce" and root.resource["host.name"]
    # What a handler begins belongs below the server's span; the answer tells nothing of it.
    assert answer.text == f"00-{trace}-{root.id}-01"
    assert not {"traceparent", "traceresponse"} & {h.lower() for h in answer.headers}


def test_who_sends_no_trace_gets_one(serve, store, collector):
    server = traced(serve, store, collector, trace_response_header=True)
    answer = server.predict("plain", b"x")
    root = request_span(collector, server, answer)
    assert root.parent == "" and answer.text == answer.headers["traceresponse"]
    assert answer.text == f"00-{root.trace}-{root.id}-03"
    # One that is broken counts as none, twice the same, too.
    for headers in ({"traceparent": "00-" + "A" * 32 + "-" + "1" * 16 + "-01"},
                    {"traceparent": ", ".join([parent()[0]["traceparent"]] * 2)}):
        answer = server.predict("plain", b"x", headers={**headers, "tracestate": "a=1"})
        root = request_span(collector, server, answer)
        assert root.parent == "" and root.message.trace_state == ""


def test_the_client_decides(serve, store, collector):
    server = traced(serve, store, collector)
    headers, trace, _ = parent("00")
    assert server.predict("plain", b"x", headers=headers).text.endswith("-00")
    last = request_span(collector, server, server.predict("plain", b"x"))
    assert last and not collector.find(trace=trace)


def test_samplers(serve, store, collector):
    server = traced(serve, store, collector, trace_parent_based=False, trace_ratio=0)
    headers, trace, _ = parent()
    assert server.predict("plain", b"x", headers=headers).status_code == 200
    assert server.predict("plain", b"x").text.endswith("-02")
    server.stop()
    assert not collector.spans
    server = traced(serve, store, collector, trace_ratio=0)
    assert server.predict("plain", b"x", headers=headers).status_code == 200
    assert server.predict("plain", b"x").status_code == 200
    server.stop()
    assert {s.trace for s in collector.spans} == {trace}


def test_opentelemetrys_own_variables(serve, store, collector):
    server = traced(serve, store, collector, trace_endpoint=None, trace_interval_ms=None,
                    environment={
                        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url + "/",
                        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20lantern,x-a=1",
                        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
                        "OTEL_BSP_SCHEDULE_DELAY": "5",
                        "OTEL_RESOURCE_ATTRIBUTES": "service.name=x,deployment.environment=night",
                        "OTEL_SERVICE_NAME": "lanterns"})
    root = request_span(collector, server, server.predict("plain", b"x"))
    assert root.resource["service.name"] == "lanterns"
    assert root.resource["deployment.environment"] == "night"
    path, head = collector.heads[0]
    assert path == "/v1/traces" and head["authorization"] == "Bearer lantern" and head["x-a"] == "1"
    assert head["content-type"] == "application/x-protobuf" and head["content-encoding"] == "gzip"
    assert "lantern" not in server.console.replace("lanterns", "")


def test_off_is_off(serve, store, collector):
    server = traced(serve, store, collector, environment={"OTEL_SDK_DISABLED": "true"},
                    log_format="json")
    headers, trace, _ = parent()
    answer = server.predict("plain", b"x", headers=headers)
    assert answer.text == headers["traceparent"]     # as the client has sent it
    server.stop()
    assert not collector.spans and "trace_id" not in server.log("access_log.log")


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://x/", "http://"])
def test_an_endpoint_that_is_none(serve, store, endpoint):
    server = serve(store=store, load_models="", trace_endpoint=endpoint, wait=False)
    assert server.wait() == 1
    assert f"--trace-endpoint: '{endpoint}' is not the URL of a collector" in server.console
    server.kill()


def test_what_only_looks_is_not_recorded(serve, store, collector):
    server = traced(serve, store, collector)
    for path in ("/ping", "/livez", "/readyz"):
        server.get(path)
    server.metrics_text()
    server.manage("GET", "/models")
    headers, trace, _ = parent()
    assert server.get("/ping", headers=headers).status_code == 200
    assert server.manage("PUT", "/models/plain?min_worker=1&synchronous=true").status_code == 200
    server.stop()
    assert sorted(s.name for s in collector.find()) == ["GET /ping/**", "PUT /models/{model}"]
    assert [s.name for s in collector.find(trace=trace)] == ["GET /ping/**"]


def test_handlers_that_are_functions_have_stages_too(serve, store, collector):
    server = traced(serve, store, collector, "function")
    headers, trace, _ = parent()
    assert server.predict("function", b"x", headers=headers).status_code == 200
    collector.tree(trace, ["POST /predictions/{model}", *PYTHON, *STAGES])


STEPS = """
pipeline:
  - from_json
  - batch
  - infer
  - softmax
  - topk: 2
  - encode_json
"""


def test_engines_and_steps_of_pipelines(serve, tmp_path, collector):
    make_model(tmp_path / "native", "echo")
    make_model(tmp_path / "native", "steps", config=STEPS)
    server = serve(store=tmp_path / "native", trace_endpoint=collector.url, trace_interval_ms=5)
    root = "POST /predictions/{model}"
    headers, trace, _ = parent()
    assert server.predict("echo", "[1, 2]", headers={**JSON, **headers}).status_code == 200
    spans = collector.tree(trace, [root, "queue", "batch", "worker", *STAGES])
    assert all(spans[s].parent == spans["worker"].id for s in STAGES)
    headers, trace, _ = parent()
    answer = server.predict("steps", "[1, 3, 2]", headers={**JSON, **headers})
    assert answer.status_code == 200, answer.text
    spans = collector.tree(trace, [root, "queue", "batch", "worker", *STAGES, "from_json", "batch",
                                   "softmax", "topk", "encode_json"])
    for step, stage in (("from_json", "preprocess"), ("topk", "postprocess")):
        assert spans[step].parent == spans[stage].id and spans[step].within(spans[stage])
    # One that cannot be read is answered before anything runs.
    headers, trace, _ = parent()
    assert server.predict("steps", "[1, [2]]", headers={**JSON, **headers}).status_code == 400
    assert "inference" not in {s.name for s in eventually(
        lambda: collector.find(trace=trace, name=root) and collector.find(trace=trace))}


def test_handlers_that_are_called_again_and_again(serve, store, collector):
    make_mar(store, "steps", CONTINUOUS, config="continuousBatching: true\nbatchSize: 4\n")
    server = traced(serve, store, collector, "steps")
    headers, trace, _ = parent()
    assert server.predict("steps", b"3", headers=headers).text == "3210"
    spans = collector.tree(trace, ["POST /predictions/{model}", *PYTHON])
    assert spans["handler"].within(spans["batch"]) and "first_piece" in spans["batch"].events


def test_failures(serve, store, collector):
    server = traced(serve, store, collector)
    headers, trace, _ = parent()
    assert server.predict("plain", b"fail", headers=headers).status_code == 503
    spans = collector.tree(trace, ["POST /predictions/{model}", *PYTHON, *STAGES[:2]])
    root, batch = spans["POST /predictions/{model}"], spans["batch"]
    assert root.failed and root.facts["error.type"] == "503"
    assert batch.failed and batch.message.status.message == "Prediction failed"
    # A client's own mistake is no failure of the server.
    headers, trace, _ = parent()
    assert server.predict("nobody", b"x", headers=headers).status_code == 404
    root = collector.tree(trace, ["POST /predictions/{model}"])["POST /predictions/{model}"]
    assert not root.failed and root.facts["http.response.status_code"] == 404
    headers, trace, _ = parent()
    assert server.call("POST", "/a/path/of/none", headers=headers).status_code == 404
    assert collector.tree(trace, ["POST"])


def test_a_batch_has_a_size_and_an_id(serve, store, collector):
    server = traced(serve, store, collector, "batched")
    headers = [parent() for _ in range(7)]
    # One of them is not recorded: the others are, each in a tree of its own.
    headers.append(parent("00"))
    threads = [threading.Thread(target=server.predict, args=("batched", b"x"),
                                kwargs={"headers": h}) for h, _, _ in headers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    trees = [collector.tree(trace, ["POST /predictions/{model}", *PYTHON, *STAGES])
             for _, trace, _ in headers[:-1]]
    assert {t["batch"].facts["sconce.batch.size"] for t in trees} == {8}
    assert len({t["batch"].facts["sconce.batch.id"] for t in trees}) == 1
    assert not collector.find(trace=headers[-1][1])


def test_streams(serve, store, collector):
    server = traced(serve, store, collector, "stream")
    headers, trace, _ = parent()
    assert server.predict("stream", b"x", headers=headers).text == "0 1 2 end"
    spans = collector.tree(trace, ["POST /predictions/{model}", *PYTHON])
    assert "first_piece" in spans["batch"].events
    assert spans["POST /predictions/{model}"].facts["http.response.body.size"] == 9


def test_a_worker_that_dies(serve, store, collector, tmp_path):
    server = traced(serve, store, collector, "dies")
    headers, trace, _ = parent()
    answer = server.predict("dies", str(tmp_path / "once").encode(), headers=headers)
    assert answer.text == "survived"
    eventually(lambda: len(collector.find(trace=trace)) == 7, lambda: collector.find(trace=trace))
    first, second = collector.find(trace=trace, name="batch")
    assert first.failed and first.facts["error.type"] == "worker_died"
    assert first.events["worker_died"] == {
        "exception.message": "its worker exited with code 3",
        "sconce.fate": "it is run once more, alone"}
    assert not second.failed and second.facts["sconce.retry"] == "alone"
    assert first.facts["sconce.batch.id"] != second.facts["sconce.batch.id"]
    root, = collector.find(trace=trace, name="POST /predictions/{model}")
    waits = collector.find(trace=trace, name="queue")
    assert not root.failed and all(s.parent == root.id and s.within(root) for s in waits)
    assert waits[1].message.start_time_unix_nano >= first.message.end_time_unix_nano


def test_clients_that_leave(serve, store, collector):
    server = traced(serve, store, collector, "waits")
    headers, trace, _ = parent()
    with server.raw() as client:
        client.send(b"POST /predictions/waits HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n"
                    b"traceparent: %s\r\n\r\nlong" % headers["traceparent"].encode())
        eventually(lambda: server.metric("sconce_workers_busy", model_name="waits"))
    spans = collector.tree(trace, ["POST /predictions/{model}", *PYTHON])
    root, batch = spans["POST /predictions/{model}"], spans["batch"]
    assert root.failed and root.facts["error.type"] == "disconnected"
    assert "http.response.status_code" not in root.facts
    assert batch.failed and batch.facts["error.type"] == "cancelled"


def test_lines_of_logs_name_the_trace(serve, store, collector):
    server = traced(serve, store, collector, log_format="json")
    headers, trace, _ = parent()
    answer = server.predict("plain", b"x", headers=headers)
    root = request_span(collector, server, answer)
    ident = answer.headers["x-request-id"]
    line, = eventually(lambda: [
        r for r in map(json.loads, server.log("access_log.log").splitlines())
        if r.get("request_id") == ident])
    assert (line["trace_id"], line["span_id"]) == (trace, root.id)
    assert re.fullmatch(r'\S+ "POST /predictions/plain HTTP/1\.1" 200 \d+', line["message"])
    server.stop()
    server = traced(serve, store, collector)
    ident = server.predict("plain", b"x", headers=headers).headers["x-request-id"]
    eventually(lambda: re.search(
        rf'"POST /predictions/plain HTTP/1\.1" 200 \d+ {ident} {trace}\n',
        server.log("access_log.log")))
    found = subprocess.run([BIN / "sconce", "logs", "--request", trace, "--location", server.logs],
                           capture_output=True, text=True, check=True).stdout
    assert ident in found and len(found.splitlines()) == 1


def test_buckets_of_the_latency_name_a_trace(serve, store, collector):
    server = traced(serve, store, collector)
    headers, trace, _ = parent()
    server.predict("plain", b"x", headers=headers)
    server.predict("plain", b"x", headers=parent("00")[0])
    page = requests.get(f"http://127.0.0.1:{server.metrics_port}/metrics",
                        headers={"accept": "application/openmetrics-text"}, timeout=20).text
    assert re.search(r'^sconce_request_duration_seconds_bucket\{.* # \{.*trace_id="%s"' % trace,
                     page, re.M)


# ---- collectors that do not behave ----

def dropped(server):
    return server.metric("sconce_trace_spans_dropped_total")


def sent(server):
    return server.metric("sconce_trace_spans_sent_total")


def test_a_collector_that_asks_to_wait(serve, store, collector):
    server = traced(serve, store, collector)
    collector.answers = [(503, {"retry-after": "1"}, b""), (429, {"retry-after": "1"}, b"")]
    began = time.monotonic()
    headers, trace, _ = parent()
    server.predict("plain", b"x", headers=headers)
    collector.tree(trace, ["POST /predictions/{model}", *PYTHON, *STAGES])
    assert time.monotonic() - began >= 2
    assert server.metric("sconce_trace_export_failures_total") == 2
    eventually(lambda: sent(server) == 8)
    assert dropped(server) == 0
    server.said("it answered 503. They wait in trace_memory")
    eventually(lambda: "are sent to" in server.console and " again" in server.console)


def test_a_collector_that_refuses(serve, store, collector):
    server = traced(serve, store, collector)
    collector.answers = [(400, {}, b"<html>") for _ in range(8)]
    headers, trace, _ = parent()
    server.predict("plain", b"x", headers=headers)
    eventually(lambda: dropped(server) == 8)
    assert not collector.find(trace=trace)


@pytest.mark.parametrize("body", [
    b"\x00\xff" * 1000, b"<html>" * 5000, b"\x0a\xff\xff\xff\xff\x0f", b"{}"])
def test_a_collector_that_answers_garbage(serve, store, collector, body):
    server = traced(serve, store, collector)
    collector.answers = [(200, {}, body) for _ in range(8)]
    root = request_span(collector, server, server.predict("plain", b"x"))
    eventually(lambda: sent(server) == 8)
    assert root and dropped(server) == 0


def test_a_collector_that_takes_a_part(serve, store, collector):
    server = traced(serve, store, collector, trace_interval_ms=500)
    collector.answers = [(200, {}, b"\x0a\x0a\x08\x03\x12\x06no oil")]
    server.predict("plain", b"x")
    eventually(lambda: sent(server) == 5 and dropped(server) == 3)
    server.said("it rejected some: no oil")


def test_many_spans_are_bounded_and_nothing_waits(serve, store, collector):
    """10,000 of them, for a collector that says nothing."""
    collector.gate.clear()
    server = traced(serve, store, collector, trace_memory="64k")
    with server.raw() as client:
        head = b"POST /predictions/plain HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx"
        for _ in range(125):
            client.send(head * 10)
            for _ in range(10):
                assert client.response().status == 200
    total = eventually(lambda: dropped(server) + sent(server) > 8000 and dropped(server))
    assert total < 10000
    collector.gate.set()
    # What was kept comes, and nothing is lost without being counted.
    eventually(lambda: dropped(server) + sent(server) == 10000)
    assert len(collector.spans) == sent(server)


def test_nobody_listens(serve, store, collector):
    url = collector.url
    collector.close()
    server = traced(serve, store, collector, trace_endpoint=url)
    for _ in range(10):
        assert server.predict("plain", b"x").status_code == 200
    eventually(lambda: server.metric("sconce_trace_export_failures_total") >= 1)
    assert server.said("Spans cannot be sent").count("Spans cannot be sent") == 1
    server.stop()
    assert "80 spans were dropped" in server.console


def test_the_end_sends_what_waits(serve, store, collector):
    server = traced(serve, store, collector, trace_interval_ms=600000)
    _, trace, _ = headers = parent()
    server.predict("plain", b"x", headers=headers[0])
    assert not collector.spans
    server.stop()
    assert len(collector.find(trace=trace)) == 8


def test_the_end_does_not_wait_for_long(serve, store, collector):
    collector.gate.clear()
    server = traced(serve, store, collector, trace_timeout_ms=600000)
    server.predict("plain", b"x")
    eventually(lambda: collector.heads)
    server.signal(signal.SIGTERM)
    assert server.wait(timeout=20) == 0
    assert "spans were dropped" in server.console
