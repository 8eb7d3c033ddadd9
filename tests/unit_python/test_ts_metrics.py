# SPDX-License-Identifier: Apache-2.0
"""ts.metrics: every call of a handler, what it sends, and what it refuses."""

import importlib.util
import io
import json
import logging
import os
import re
import sys
from types import SimpleNamespace

import pytest
from sconce import frame as wire
from sconce import metrics as outgoing
from ts.context import Context
from ts.metrics import caching_metric, process_memory_metric, system_metrics
from ts.metrics import metric_cache_errors as merrors
from ts.metrics.dimension import Dimension
from ts.metrics.metric import Metric
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl, WorkerMetricsCache
from ts.metrics.metric_encoder import MetricEncoder
from ts.metrics.metric_type_enum import MetricTypes
from ts.metrics.metrics_store import MetricsStore
from ts.metrics.unit import Units

MODEL = [("ModelName", "net"), ("Level", "Model")]


@pytest.fixture(autouse=True)
def worker(monkeypatch):
    """This process is one, as far as metrics go."""
    monkeypatch.setattr(outgoing, "connected", True)
    monkeypatch.setattr(caching_metric, "_complained", set())
    outgoing.take()
    yield
    outgoing.take()


@pytest.fixture
def cache():
    made = WorkerMetricsCache(None, {0: "r0", 1: "r1"}, "net")
    made.initialize_cache()
    return made


def sent():
    return [(m["type"], m["name"], m["value"], m["unit"], m["dimensions"], m["request_ids"])
            for m in outgoing.take()]


@pytest.mark.parametrize("call,kind,unit", [
    (lambda m: m.add_metric("n", 3, "apples"), "counter", "apples"),
    (lambda m: m.add_metric("n", 3, "ms", metric_type=MetricTypes.HISTOGRAM), "histogram",
     "Milliseconds"),
    (lambda m: m.add_counter("n", 3), "counter", "Count"),
    (lambda m: m.add_time("n", 3), "gauge", "Milliseconds"),
    (lambda m: m.add_time("n", 3, unit="s"), "gauge", "Seconds"),
    (lambda m: m.add_size("n", 3), "gauge", "Megabytes"),
    (lambda m: m.add_size("n", 3, None, "kB"), "gauge", "Kilobytes"),
    (lambda m: m.add_size("n", 3, unit="GB"), "gauge", "Gigabytes"),
    (lambda m: m.add_size("n", 3, unit="B"), "gauge", "Bytes"),
    (lambda m: m.add_percent("n", 3), "gauge", "Percent"),
])
def test_calls_and_their_defaults(cache, call, kind, unit):
    call(cache)
    assert sent() == [(kind, "n", 3, unit, MODEL, "r0,r1")]


def test_idx_chooses_the_request(cache):
    cache.add_counter("n", 1, 1)
    cache.add_counter("n", 1, idx=7)
    assert [row[-1] for row in sent()] == ["r1", "r0,r1"]


def test_dimensions_come_first_and_the_callers_list_stays_as_it_is(cache):
    own = [Dimension("Shelf", "upper")]
    cache.add_counter("n", 1, dimensions=own)
    cache.add_counter("n", 2, dimensions=own)
    assert [row[4] for row in sent()] == [[("Shelf", "upper"), *MODEL]] * 2
    assert [str(d) for d in own] == ["Shelf:upper"]


def test_an_error_is_of_no_request(cache):
    cache.add_error("Broken", 1)
    assert sent() == [("counter", "Broken", 1, "unit", [("Level", "Error")], "")]


def test_units_that_are_none(cache):
    with pytest.raises(merrors.MetricsCacheValueError):
        cache.add_time("n", 1, unit="ns")
    with pytest.raises(ValueError):
        cache.add_size("n", 1, unit="TB")
    assert Units().units["ms"] == "Milliseconds"


def test_same_name_with_another_type_is_another_metric(cache):
    cache.add_counter("n", 1)
    cache.add_time("n", 2)
    assert cache.get_metric("n") is not cache.get_metric("n", MetricTypes.GAUGE)
    assert {"counter:n", "gauge:n"} < set(cache.cache_keys())


def test_declared_metrics_are_there(cache):
    assert {"gauge:HandlerTime", "gauge:PredictionTime"} == set(cache.cache_keys())
    with pytest.raises(merrors.MetricsCacheKeyError):
        cache.get_metric("HandlerTime")
    with pytest.raises(merrors.MetricsCacheTypeError):
        cache.get_metric(5)


def test_metrics_that_the_server_declares():
    context = Context("net", "/", {}, 1, None, "0.12.0")
    context.declared_metrics = [{"name": "Tokens", "unit": "count", "type": "histogram",
                                 "dimensions": ["Mode"]}]
    assert context.metrics.cache_keys() == ["histogram:Tokens"]
    context.metrics.get_metric("Tokens", MetricTypes.HISTOGRAM).add_or_update(4, ["fast"])
    assert sent() == [("histogram", "Tokens", 4, "Count", [("Mode", "fast")], "")]


@pytest.mark.parametrize("arguments", [
    (1, "count", [], MetricTypes.GAUGE), ("n", None, [], MetricTypes.GAUGE),
    ("n", "count", "Level", MetricTypes.GAUGE), ("n", "count", [], "gauge")])
def test_metrics_of_wrong_types_are_refused(cache, arguments):
    with pytest.raises(merrors.MetricsCacheTypeError):
        cache.add_metric_to_cache(*arguments)


class SeveralElements:
    """A tensor of them."""

    def __float__(self):
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


@pytest.mark.parametrize("value,values", [
    (-1, ["a"]), (1, []), (1, ["a", "b"]), (1, None), ("x", ["a"]), (float("nan"), ["a"]),
    (SeveralElements(), ["a"])])
def test_updates_that_do_not_fit_are_logged_and_dropped(cache, caplog, value, values):
    """In a worker once for each metric, also when it is made anew; elsewhere each time."""
    for _ in range(3):
        cache.add_metric_to_cache("n", "count", ["D"]).add_or_update(value, values)
    assert sent() == []
    assert [line.partition(" and ")[0] for line in caplog.messages] == [
        "[METRICS]Failed to update metric with name:n"]
    outgoing.connected = False
    for _ in range(2):
        cache.add_metric_to_cache("n", "count", ["D"]).add_or_update(value, values)
    assert len(caplog.messages) == 3


def test_complaints_are_bounded(cache, caplog):
    for i in range(1005):
        cache.add_metric_to_cache("n%d" % i, "count").add_or_update(-1)
    assert len(caplog.messages) == 1000


def test_without_a_server_updates_are_logged(cache, caplog):
    outgoing.connected = False
    caplog.set_level(logging.INFO)
    cache.add_time("n", 1.5, 0)
    cache.get_metric("n", MetricTypes.GAUGE).add_or_update(2, ["net", "Model"])
    first, second = caplog.messages
    assert first.startswith("[METRICS]n.Milliseconds:1.5|#ModelName:net,Level:Model|#type:GAUGE|"
                            "#hostname:") and first.endswith(",r0")
    assert second.rpartition(",")[2].isdigit()
    assert sent() == []


def test_a_gauge_may_be_negative(cache):
    cache.add_metric_to_cache("n", "", [], MetricTypes.GAUGE).add_or_update(-2.5)
    assert sent() == [("gauge", "n", -2.5, "unit", [], "")]


def test_the_older_update_brings_its_dimensions(cache):
    metric = cache.add_metric_to_cache("n", "MB", ["A"], MetricTypes.GAUGE)
    metric.update(2, "r9", [Dimension("B", 5)])
    assert sent() == [("gauge", "n", 2, "Megabytes", [("B", "5")], "r9")]


def test_what_is_pending_is_bounded_and_none_is_lost(cache, monkeypatch):
    frames = []
    monkeypatch.setattr(outgoing, "_channel", SimpleNamespace(send=frames.append))
    for i in range(5000):
        cache.add_counter("n", i)
        assert len(outgoing._pending) < 1000
    values = [m["value"] for f in frames for m in json.loads(f[wire.HEAD:])]
    assert values + [m["value"] for m in outgoing.take()] == list(range(5000))


def test_the_deprecated_store():
    store = MetricsStore({0: "r0"}, "net")
    store.add_counter("n", 1)
    store.add_time("t", 2, 0, "s")
    store.add_error("e", 1)
    assert store.store[0].value == 1
    assert [(row[0], row[1], row[4]) for row in sent()] == [
        ("counter", "n", MODEL), ("counter", "t", MODEL), ("counter", "e", [("Level", "Error")])]
    store.add_counter("n", 5)
    assert [m.value for m in store.store] == [1, 2, 1] and sent()[0][2] == 5
    with pytest.raises(ValueError, match="^Please provide a list of dimensions$"):
        store.add_counter("n", 1, dimensions="Level")
    with pytest.raises(ValueError, match="^the unit for a timed metric should be one of "):
        store.add_time("n", 1, unit="ns")
    with pytest.raises(ValueError, match="^The unit for size based metric is one of "):
        store.add_size("n", 1, unit="TB")


def test_metric_as_text_and_json():
    metric = Metric("n", 2, "ms", [Dimension("Level", "Model")], "r0")
    assert str(metric).startswith("n.Milliseconds:2|#Level:Model|#hostname:")
    assert str(metric).endswith(",r0")
    found = json.loads(json.dumps(metric, cls=MetricEncoder))
    assert (found["MetricName"], found["RequestId"]) == ("n", "r0")
    assert found["Dimensions"] == [{"Name": "Level", "Value": "Model"}]


# ---- the machine's ----

def test_figures_of_the_machine():
    """Calls by hand, as handlers do it, and all of them."""
    system_metrics.system_metrics.clear()
    system_metrics.cpu_utilization()
    system_metrics.memory_used()
    system_metrics.collect_all(sys.modules["ts.metrics.system_metrics"], 0)
    found = {m.name: m for m in system_metrics.system_metrics}
    assert len(system_metrics.system_metrics) == 9 and {n: m.unit for n, m in found.items()} == {
        "CPUUtilization": "Percent", "MemoryUsed": "Megabytes", "MemoryAvailable": "Megabytes",
        "MemoryUtilization": "Percent", "DiskUsage": "Gigabytes", "DiskUtilization": "Percent",
        "DiskAvailable": "Gigabytes"}
    assert all(m.value >= 0 for m in found.values()) and found["MemoryUsed"].value > 0
    assert {str(d) for m in found.values() for d in m.dimensions} == {"Level:Host"}
    system_metrics.system_metrics.clear()


def test_figures_of_gpus(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text(
        "#!/bin/sh\necho '0, 100, 400, 7'\necho '1, 0, [N/A], 3'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(system_metrics, "system_metrics", [])
    system_metrics.gpu_utilization(2)
    assert [(m.name, m.value, str(m.dimensions[1])) for m in system_metrics.system_metrics] == [
        ("GPUMemoryUtilization", 25.0, "device_id:0"), ("GPUMemoryUsed", 100, "device_id:0"),
        ("GPUUtilization", 7, "device_id:0"), ("GPUUtilization", 3, "device_id:1")]


def test_memory_of_processes(caplog):
    caplog.set_level(logging.INFO)
    assert process_memory_metric.get_cpu_usage(str(os.getpid())) > 1 << 20
    process_memory_metric.check_process_mem_usage(io.StringIO("%d,,0\n" % os.getpid()))
    assert [line.partition(":")[0] for line in caplog.messages] == [
        str(os.getpid()), "Failed get process for pid", "0"]


def test_modules_are_found_by_looking():
    import ts.metrics

    assert ts.metrics.system_metrics is system_metrics
    assert not hasattr(ts.metrics, "none")


# ---- a file ----

needs_yaml = pytest.mark.skipif(not importlib.util.find_spec("yaml"), reason="needs PyYAML")


@pytest.mark.parametrize("path,text", [
    (None, "^Error loading None file: "), ("", "^Config file not initialized$")])
def test_no_file(path, text):
    with pytest.raises(merrors.MetricsCacheTypeError, match=text):
        MetricsCacheYamlImpl(path)


@needs_yaml
@pytest.mark.parametrize("text,error,message", [
    ("a: [", "MetricsCachePyYamlError", "Error parsing file: Error parsing file .*metrics.yaml: "),
    ("a: 1", "MetricsCacheKeyError", "'model_metrics' key not found in yaml file: "),
    ("model_metrics:", "MetricsCacheValueError", "Missing `model_metrics` specification$"),
    ("model_metrics: {summary: []}", "MetricsCacheKeyError",
     "Invalid metric type: 'summary' is not a valid MetricTypes"),
    ("model_metrics: {gauge: [{name: a}]}", "MetricsCacheKeyError",
     "Key not found in cache spec: 'unit'")])
def test_files_that_are_wrong(tmp_path, text, error, message):
    path = tmp_path / "metrics.yaml"
    path.write_text(text)
    with pytest.raises(getattr(merrors, error)) as e:
        MetricsCacheYamlImpl(str(path)).initialize_cache()
    assert re.match(message, str(e.value.args[0]))


@needs_yaml
def test_a_file(tmp_path):
    path = tmp_path / "metrics.yaml"
    path.write_text("model_metrics:\n  gauge:\n    - {name: a, unit: ms, dimensions: [D]}\n")
    cache = MetricsCacheYamlImpl(str(path))
    cache.initialize_cache()
    assert cache.get_metric("a", MetricTypes.GAUGE).unit == "Milliseconds"
    with pytest.raises(merrors.MetricsCacheIOError):
        MetricsCacheYamlImpl(str(tmp_path / "none"))
