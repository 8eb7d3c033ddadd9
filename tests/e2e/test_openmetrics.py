# SPDX-License-Identifier: Apache-2.0
"""The metrics listener for who accepts OpenMetrics, read by the parser of Prometheus' client."""

import re
import time

import pytest
import requests
from prometheus_client.openmetrics import parser as openmetrics

from e2e.archives import make_mar


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    make_mar(module_tmp / "store", "echo", "echo.py")
    return module_serve(store=module_tmp / "store")


def metrics(server, query=""):
    return requests.get(f"http://127.0.0.1:{server.metrics_port}/metrics{query}", timeout=20)


OPEN = "application/openmetrics-text"
PROMETHEUS = (f"{OPEN};version=1.0.0,{OPEN};version=0.0.1;q=0.75,"
              "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")


def open_metrics(server, query="", accept=PROMETHEUS):
    return requests.get(f"http://127.0.0.1:{server.metrics_port}/metrics{query}", timeout=20,
                        headers={"Accept": accept})


@pytest.mark.parametrize("accept,is_open", [
    (PROMETHEUS, True), (OPEN, True), (f"text/plain;q=0.4, {OPEN};q=0.4", True),
    (f"{OPEN};q=0.3, text/plain", False), (f"{OPEN};version=2.0.0", False), ("*/*", False),
    (f"{OPEN};q=0", False), ("text/plain", False), ("", False),
])
def test_the_format_is_what_is_asked_for(server, accept, is_open):
    response = open_metrics(server, accept=accept)
    assert response.headers["content-type"] == (
        f"{OPEN}; version=1.0.0; charset=utf-8" if is_open
        else "text/plain; version=0.0.4; charset=utf-8")
    assert response.text.endswith("\n# EOF\n") == is_open


def series(labels):
    return tuple(sorted((k, float(v) if k == "le" else v) for k, v in labels.items()))


def series_of_open(text):
    return {(s.name, series(s.labels))
            for family in openmetrics.text_string_to_metric_families(text) for s in family.samples}


def series_of_classic(text):
    """By hand: the parser of the client's library gives counters names that the text has not."""
    return {(line.split("{")[0].split(" ")[0], series(dict(re.findall(r'(\w+)="([^"]*)"', line))))
            for line in text.splitlines() if not line.startswith("#")}


def test_open_metrics_have_the_same_series(server):
    """So that a server that is scraped in the other format goes on with its series."""
    server.predict("echo", b"x")
    found = series_of_open(open_metrics(server).text)
    assert found == series_of_classic(metrics(server).text)
    for names in ("?name[]=Requests2XX", "?name[]=nothing", "?name[]=sconce_batch_size"):
        found = series_of_open(open_metrics(server, names).text)
        assert found == series_of_classic(metrics(server, names).text)
    part = series_of_open(open_metrics(server, "?name[]=sconce_batch_size_sum").text)
    assert part == series_of_open(open_metrics(server, "?name[]=sconce_batch_size").text)


@pytest.mark.parametrize("mode", ["log", "legacy"])
def test_open_metrics_in_every_mode(serve, mode):
    server = serve(load_models=None, metrics_mode=mode)
    families = list(openmetrics.text_string_to_metric_families(open_metrics(server).text))
    assert [f.unit for f in families if f.name == "sconce_worker_busy_seconds"] == ["seconds"]


def test_buckets_name_a_recent_request(server):
    ident = server.predict("echo", b"x").headers["x-request-id"]
    exemplars = [s.exemplar for f in openmetrics.text_string_to_metric_families(
                     open_metrics(server).text)
                 for s in f.samples if s.name == "sconce_request_duration_seconds_bucket"
                 and s.labels["model_name"] == "echo" and s.exemplar]
    newest = max(exemplars, key=lambda e: e.timestamp)
    assert newest.labels["request_id"] == ident
    assert newest.value > 0 and abs(float(newest.timestamp) - time.time()) < 20
