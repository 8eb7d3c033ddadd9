# SPDX-License-Identifier: Apache-2.0
"""The metrics listener: names, text format and numbers."""

import re

import pytest
import requests

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import eventually

NUMBER = r"(-?\d+\.\d+(E-?\d+)?|NaN|\+Inf|-Inf)"
LABELS = r'\{([a-zA-Z_]\w*="([^"\\\n]|\\.)*",)+\}'
SAMPLE = re.compile(rf"^[a-zA-Z_:][a-zA-Z0-9_:]*({LABELS})? {NUMBER}$")


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    for name in ("echo", "gate", "trouble"):
        make_mar(store, name, f"{name}.py")
    return module_serve(store=store)


def metrics(server, query=""):
    return requests.get(f"http://127.0.0.1:{server.metrics_port}/metrics{query}", timeout=20)


def test_content_type(server):
    response = metrics(server)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_every_line_is_well_formed(server):
    server.predict("echo", b"x")
    families = set()
    for line in metrics(server).text.splitlines():
        if match := re.match(r"# (HELP|TYPE) (\S+) (.+)$", line):
            families.add(match.group(2))
            assert match.group(1) == "HELP" or match.group(3) in ("counter", "gauge", "histogram")
            continue
        assert SAMPLE.match(line), line
        name = line.split("{")[0].split(" ")[0]
        assert name in families or re.sub("_(bucket|sum|count)$", "", name) in families, line
    assert metrics(server).text.endswith("\n")


@pytest.mark.parametrize("name,kind,unit,labels", [
    ("Requests2XX", "counter", "Count", 'Level="Host",Hostname="[^"]+",'),
    ("Requests4XX", "counter", "Count", 'Level="Host",Hostname="[^"]+",'),
    ("Requests5XX", "counter", "Count", 'Level="Host",Hostname="[^"]+",'),
    ("ts_inference_requests_total", "counter", "Count",
     'model_name="echo",model_version="default",hostname="[^"]+",'),
    ("ts_inference_latency_microseconds", "counter", "Microseconds",
     'model_name="echo",model_version="default",hostname="[^"]+",'),
    ("ts_queue_latency_microseconds", "counter", "Microseconds",
     'model_name="echo",model_version="default",hostname="[^"]+",'),
    ("QueueTime", "gauge", "Milliseconds", 'Level="Host",Hostname="[^"]+",'),
    ("WorkerThreadTime", "gauge", "Milliseconds", 'Level="Host",Hostname="[^"]+",'),
    ("WorkerLoadTime", "gauge", "Milliseconds",
     'WorkerName="W-9\\d+-echo_1.0",Level="Host",Hostname="[^"]+",'),
])
def test_torchserve_names(server, name, kind, unit, labels):
    server.predict("echo", b"x")
    text = metrics(server).text
    assert f"# HELP {name} Torchserve prometheus {kind} metric with unit: {unit}\n" in text
    assert f"# TYPE {name} {kind}\n" in text
    assert re.search(f"^{name}\\{{{labels}\\}} {NUMBER}$", text, re.M), text


def test_requests_are_counted_by_class(server):
    host = {"Level": "Host"}
    before = [server.metric(f"Requests{c}XX", **host) for c in (4, 5)]
    server.predict("nobody", b"")
    server.predict("trouble", "raise")
    server.predict("trouble", "prediction 418 x")
    assert server.metric("Requests4XX", **host) == before[0] + 2
    assert server.metric("Requests5XX", **host) == before[1] + 1
    first = server.metric("Requests2XX", **host)
    server.predict("echo", b"x")
    assert server.metric("Requests2XX", **host) >= first + 2    # the scrape counts itself too


def test_inference_counters(server):
    def count(version):
        return server.metric("ts_inference_requests_total", model_name="gate",
                             model_version=version)
    before = count("default")
    for _ in range(3):
        server.predict("gate", '{"calls": "/dev/null"}')
    server.predict("gate/1.0", '{"calls": "/dev/null"}')
    assert count("default") == before + 3
    assert count("1.0") == 1
    assert server.metric("ts_inference_latency_microseconds", model_name="gate",
                         model_version="default") > 0


def test_histograms(server):
    before = server.metric("sconce_request_duration_seconds_count", model_name="echo")
    for _ in range(5):
        server.predict("echo", b"x")
    for name in ("sconce_request_duration_seconds", "sconce_queue_duration_seconds"):
        assert server.metric(f"{name}_bucket", model_name="echo", le="+Inf") == \
            server.metric(f"{name}_count", model_name="echo") >= before + 5
        assert server.metric(f"{name}_sum", model_name="echo") > 0
        counts = [float(line.rsplit(" ", 1)[1]) for line in metrics(server).text.splitlines()
                  if line.startswith(f'{name}_bucket{{model_name="echo"')]
        assert counts == sorted(counts) and len(counts) == 19


def test_queue_depth_and_workers(server, gate):
    assert server.metric("sconce_workers_ready", model_name="gate") == 1
    running = background(server.predict, "gate", gate.body())
    gate.wait_entered()
    waiting = [background(server.predict, "gate", gate.body(fifo="")) for _ in range(3)]
    eventually(lambda: server.metric("sconce_queue_depth", model_name="gate") == 3)
    gate.open()
    assert all(f.result().status_code == 200 for f in [running, *waiting])
    eventually(lambda: server.metric("sconce_queue_depth", model_name="gate") == 0)


def test_restarts_and_retries(server):
    before = server.metric("sconce_worker_restarts_total", model_name="trouble")
    assert server.predict("trouble", "exit").status_code == 500
    assert server.predict("trouble", "fine").text == "fine"
    assert server.metric("sconce_worker_restarts_total", model_name="trouble") == before + 2
    assert server.metric("sconce_request_retries_total", model_name="trouble") == 1


def test_filter_by_name(server):
    text = metrics(server, "?name[]=Requests2XX&name[]=QueueTime").text
    assert {line.split("{")[0] for line in text.splitlines() if not line.startswith("#")} == \
        {"Requests2XX", "QueueTime"}
    assert "Requests4XX" not in text
    assert metrics(server, "?name[]=nothing").text == ""


def test_filter_by_sample_name(server):
    text = metrics(server, "?name%5B%5D=sconce_batch_size_count").text
    assert "sconce_batch_size_count{" in text and "Requests2XX" not in text


def test_hostile_model_names_do_not_break_the_text(serve, tmp_path):
    make_mar(tmp_path, "quote", "echo.py")
    server = serve(store=tmp_path, load_models=None)
    response = server.register("quote.mar", model_name='a"b\\c{},', initial_workers=1)
    if response.status_code == 200:
        assert server.call("POST", "/predictions/a%22b%5Cc%7B%7D,", data=b"x").text == "x"
    for line in server.metrics_text().splitlines():
        assert line.startswith("#") or SAMPLE.match(line), line


def test_log_mode_has_an_empty_page(serve, tmp_path):
    server = serve(store=tmp_path, metrics_mode="log")
    response = metrics(server)
    assert (response.status_code, response.text) == (200, "")


def test_listener_can_be_switched_off(serve, tmp_path):
    server = serve(store=tmp_path, enable_metrics_api=False)
    with pytest.raises(requests.ConnectionError):
        metrics(server)


def test_other_paths_of_the_listener(server):
    response = requests.get(f"http://127.0.0.1:{server.metrics_port}/ping", timeout=20)
    assert response.status_code == 404
