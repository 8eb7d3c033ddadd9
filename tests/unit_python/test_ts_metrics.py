# SPDX-License-Identifier: Apache-2.0
"""ts.metrics: every call of a handler, what it sends, and what it refuses."""

import importlib.util
import json

import pytest
from sconce import metrics as outgoing
from ts.context import Context
from ts.metrics import metric_cache_errors as merrors
from ts.metrics.dimension import Dimension
from ts.metrics.metric import Metric
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.metrics.metric_encoder import MetricEncoder
from ts.metrics.metric_type_enum import MetricTypes
from ts.metrics.metrics_store import MetricsStore
from ts.metrics.unit import Units

MODEL = [("ModelName", "net"), ("Level", "Model")]


@pytest.fixture(autouse=True)
def nothing_pending():
    outgoing.take()
    yield
    outgoing.take()


@pytest.fixture
def cache():
    made = MetricsCacheYamlImpl(request_ids={0: "r0", 1: "r1"}, model_name="net")
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


@pytest.mark.parametrize("value,values", [
    (-1, ["a"]), (1, []), (1, ["a", "b"]), (1, None), ("x", ["a"]), (float("nan"), ["a"])])
def test_updates_that_do_not_fit_are_logged_and_dropped(cache, capsys, value, values):
    cache.add_metric_to_cache("n", "count", ["D"]).add_or_update(value, values)
    assert sent() == []
    assert capsys.readouterr().err.startswith("[METRICS]n ")


def test_a_gauge_may_be_negative(cache):
    cache.add_metric_to_cache("n", "", [], MetricTypes.GAUGE).add_or_update(-2.5)
    assert sent() == [("gauge", "n", -2.5, "unit", [], "")]


def test_the_older_update_brings_its_dimensions(cache):
    metric = cache.add_metric_to_cache("n", "MB", ["A"], MetricTypes.GAUGE)
    metric.update(2, "r9", [Dimension("B", 5)])
    assert sent() == [("gauge", "n", 2, "Megabytes", [("B", "5")], "r9")]


def test_what_is_pending_is_bounded(cache):
    for _ in range(5000):
        cache.add_counter("n", 1)
    assert len(outgoing.take()) == 1000


def test_the_deprecated_store():
    store = MetricsStore({0: "r0"}, "net")
    store.add_counter("n", 1)
    store.add_time("t", 2, 0, "s")
    store.add_error("e", 1)
    assert [(row[0], row[1], row[4]) for row in sent()] == [
        ("counter", "n", MODEL), ("counter", "t", MODEL), ("counter", "e", [("Level", "Error")])]
    with pytest.raises(ValueError):
        store.add_counter("n", 1, dimensions="Level")
    with pytest.raises(ValueError):
        store.add_time("n", 1, unit="ns")


def test_metric_as_text_and_json():
    metric = Metric("n", 2, "ms", [Dimension("Level", "Model")], "r0")
    assert str(metric).startswith("n.Milliseconds:2|#Level:Model|#hostname:")
    assert str(metric).endswith(",r0")
    found = json.loads(json.dumps(metric, cls=MetricEncoder))
    assert (found["MetricName"], found["RequestId"]) == ("n", "r0")
    assert found["Dimensions"] == [{"Name": "Level", "Value": "Model"}]


needs_yaml = pytest.mark.skipif(not importlib.util.find_spec("yaml"), reason="needs PyYAML")


@needs_yaml
@pytest.mark.parametrize("text,error", [
    ("a: [", "MetricsCachePyYamlError"), ("a: 1", "MetricsCacheKeyError"),
    ("model_metrics:", "MetricsCacheValueError"),
    ("model_metrics: {summary: []}", "MetricsCacheKeyError"),
    ("model_metrics: {gauge: [{name: a}]}", "MetricsCacheKeyError")])
def test_files_that_are_wrong(tmp_path, text, error):
    path = tmp_path / "metrics.yaml"
    path.write_text(text)
    with pytest.raises(getattr(merrors, error)):
        MetricsCacheYamlImpl(str(path)).initialize_cache()


@needs_yaml
def test_a_file(tmp_path):
    path = tmp_path / "metrics.yaml"
    path.write_text("model_metrics:\n  gauge:\n    - {name: a, unit: ms, dimensions: [D]}\n")
    cache = MetricsCacheYamlImpl(str(path))
    cache.initialize_cache()
    assert cache.get_metric("a", MetricTypes.GAUGE).unit == "Milliseconds"
    with pytest.raises(merrors.MetricsCacheIOError):
        MetricsCacheYamlImpl(str(tmp_path / "none"))
