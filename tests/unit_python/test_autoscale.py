# SPDX-License-Identifier: Apache-2.0
"""bench/autoscale.py: the formulas of Kubernetes, and pods that lose no request."""

import random
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import autoscale                                                                # noqa: E402
from charts import draw                                                         # noqa: E402
from pods import Fleet, Model, Prometheus                                       # noqa: E402
from scalers import Hpa, Keda, Limits, by_average, by_resource, by_value        # noqa: E402


@pytest.mark.parametrize("ratio,current,ready,wanted", [
    (1.0, 4, 4, 4), (1.09, 4, 4, 4), (0.91, 4, 4, 4),     # within the tolerance
    (1.11, 4, 4, 5), (2.0, 4, 4, 8), (0.5, 4, 4, 2), (0.01, 4, 4, 1), (0, 4, 4, 0),
    (2.0, 8, 4, 8),                                     # those that start are not counted again
    (3.2, 0, 0, 4), (0, 0, 0, 0),
])
def test_value(ratio, current, ready, wanted):
    assert by_value(ratio, current, ready) == wanted


@pytest.mark.parametrize("total,target,current,wanted", [
    (10, 2, 5, 5), (10.9, 2, 5, 5), (11.1, 2, 5, 6), (1, 2, 5, 1), (0, 2, 5, 0), (3, 2, 0, 2),
])
def test_average_value(total, target, current, wanted):
    assert by_average(total, target, current) == wanted


@pytest.mark.parametrize("usages,wanted", [
    ([0.7, 0.7], 2), ([0.75, 0.75], 2), ([1, 1], 3), ([0.2, 0.2, 0.2], 1),
    ([1, None], 2),             # the one that starts counts as idle: 1 / 2 / 0.7 is less than 1
    ([1, 1, 1, None], 4),       # 0.75 / 0.7 is within the tolerance
    ([1, 1, 1, 1, 1, None], 8),
    ([0.2, 0.2, None], 1),      # … and not at all when it is to shrink
    ([None, None], 2),
])
def test_resource(usages, wanted):
    assert by_resource(usages, 0.7, len(usages)) == wanted


def test_it_grows_at_once_and_shrinks_after_five_minutes():
    hpa = Hpa(Limits(most=100))
    assert hpa.decide(0, 4, [8]) == 8
    for now in range(15, 300, 15):
        assert hpa.decide(now, 8, [2]) == 8
    assert hpa.decide(301, 8, [2]) == 2


def test_the_most_that_was_recommended_meanwhile_stays():
    hpa = Hpa(Limits(most=100))
    for now, wish in ((0, 10), (100, 3), (200, 6)):
        assert hpa.decide(now, 10, [wish]) == 10
    assert hpa.decide(301, 10, [3]) == 6
    assert hpa.decide(501, 6, [3]) == 3


def test_it_doubles_or_adds_four_in_fifteen_seconds():
    hpa = Hpa(Limits(most=100))
    pods, seen = 1, []
    for now in range(0, 75, 15):
        pods = hpa.decide(now, pods, [90])
        seen.append(pods)
    assert seen == [5, 10, 20, 40, 80]
    hpa = Hpa(Limits(most=100))
    assert hpa.decide(0, 1, [90]) == 5
    assert hpa.decide(5, 5, [90]) == 5          # the period is not over


def test_the_chart_shrinks_slowly():
    hpa = Hpa(Limits(most=100, up_pods=0, down_window_s=0, down_share=0.2, down_period_s=60))
    assert hpa.decide(0, 10, [2]) == 8
    assert hpa.decide(15, 8, [2]) == 8
    assert hpa.decide(60, 8, [2]) == 6
    assert hpa.decide(120, 1, [9]) == 2


def test_bounds_and_the_largest_wish():
    assert Hpa(Limits(least=2, most=6)).decide(0, 4, [1, 5]) == 5
    assert Hpa(Limits(least=2, most=6)).decide(0, 4, [1, 50]) == 6
    hpa = Hpa(Limits(least=2, most=6, down_window_s=0))
    assert hpa.decide(0, 4, [0]) == 2


def test_keda_decides_between_none_and_one():
    keda = Keda()
    assert keda.decide(0, 1, False) is None     # it has just begun
    assert keda.decide(0, 0, False) == 0
    assert keda.decide(30, 0, True) == 1
    assert keda.decide(60, 3, True) is None
    assert keda.decide(90, 3, False) is None    # it cools down
    assert keda.decide(359, 1, False) is None
    assert keda.decide(360, 1, False) == 0


# ---- pods ----

def asked(fleet, times):
    for when in times:
        fleet.run_until(when)
        fleet.look()
        fleet.arrive()
    fleet.run_until(times[-1] + 1000)


def test_every_request_is_answered_or_refused():
    rng = random.Random(3)
    times = sorted(rng.uniform(0, 60) for _ in range(5000))
    fleet = Fleet(Model(0.01, 0.02, batch=4, workers=2, queue=20, start_s=5), 1, 0.5)
    for i, when in enumerate(times):
        if i % 500 == 250:
            fleet.scale(rng.randint(1, 4))
        asked(fleet, [when]) if i == len(times) - 1 else (
            fleet.run_until(when), fleet.look(), fleet.arrive())
    assert fleet.answered + fleet.refused == 5000
    assert 0 < fleet.refused < 5000 and fleet.late <= fleet.answered
    assert all(not pod.waiting and pod.idle == 2 for pod in fleet.pods)


def test_batches_are_what_waits():
    fleet = Fleet(Model(0.1, 0.1, batch=4, workers=1), 1, 0.5)
    asked(fleet, [0, 0.01, 0.02, 0.03])
    assert fleet.worst_s == pytest.approx(0.2 + 0.4 - 0.01)     # three together, behind the first
    assert (fleet.answered, fleet.late) == (4, 3)


def test_a_pod_gets_requests_when_it_has_started():
    fleet = Fleet(Model(0, 1, workers=1, start_s=10), 1, 5)
    fleet.scale(3)
    fleet.run_until(9)
    fleet.look()
    assert (fleet.count(), fleet.ready()) == (3, 1)
    fleet.run_until(10)
    fleet.look()
    assert fleet.ready() == 3
    fleet.scale(1)
    assert (fleet.count(), fleet.ready()) == (1, 1)


def test_the_wait_is_predicted_as_the_server_does():
    fleet = Fleet(Model(0.010, 0.005, batch=8, workers=1), 1, 5)
    for _ in range(17):
        fleet.arrive()      # one runs for 15 ms, 16 wait: two batches of 50 ms
    assert fleet.wait_s(fleet.pods[0]) == pytest.approx(0.115)


def test_what_prometheus_knows_is_a_minute_old():
    p = Prometheus()
    for i in range(9):
        p.take(15 * i, {1: (min(i, 4) * 15.0, 2, 0.5)})
    assert p.utilization() == 0                 # it was busy more than a minute ago
    p.take(135, {1: (75.0, 2, 0.5), 2: (0.0, 2, 0.1)})
    assert p.busy() == pytest.approx(15 / 60)
    assert p.utilization() == pytest.approx(15 / 60 / 4)
    assert (p.wait_s(), p.waits()) == (pytest.approx(0.3), pytest.approx(0.6))
    assert p.utilizations() == pytest.approx(15 / 60 / 2)


# ---- the program ----

def small(*arguments):
    return autoscale.parse(["--load", "burst", *arguments])


def course_of(scaler, options, model=autoscale.MEASURED):
    return autoscale.run(model, lambda t: 300 if t > 100 else 50, 300,
                         scaler, options)


def test_the_same_seed_is_the_same_course():
    first, second = (course_of("utilization", small()) for _ in range(2))
    assert first == second
    assert sum(first.misses) == first.late + first.refused
    assert max(first.pods) > 3


def test_cpu_says_nothing_of_a_model_on_a_gpu():
    model = autoscale.replace(autoscale.MEASURED, cpu=0.2)
    assert max(course_of("CPU", small(), model).pods) == 1
    assert max(course_of("utilization", small(), model).pods) > 3


def test_the_chart_is_small_and_well_formed(tmp_path):
    courses = {"a <b>": course_of("utilization", small())}
    text = draw(courses, lambda rate: rate / 93, "a & b")
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg") and len(text) < 30_000
    assert "a <b>" in [e.text for e in root.iter() if e.tag.endswith("text")]


@pytest.mark.parametrize("arguments", [
    ["--busy", "1.5"], ["--wait", "0"], ["--least", "5", "--most", "4"], ["--model", "m"],
    ["--load", "nothing"],
])
def test_wrong_options(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        autoscale.parse(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def to_zero(scaler):
    options = autoscale.parse(["--load", "visits"])
    load, seconds = autoscale.LOADS["visits"]
    return autoscale.run(autoscale.MEASURED, load, seconds // 2, scaler, options)


def test_to_zero_and_back():
    """The first requests of a visit meet nobody, for as long as it takes to notice and to start."""
    always, bare, held = (to_zero(name) for name in autoscale.TO_ZERO)
    assert min(always.pods) == 1 and always.refused == 0
    assert min(bare.pods) == 0 and bare.refused > 0
    assert 2 * 3 * 10 < bare.refused < 2 * 3 * 60
    assert held.refused == 0 and held.late > 0
    assert 20 < held.worst_s < 60
    assert held.answered == always.answered == bare.answered + bare.refused
    assert sum(held.pods) < sum(always.pods) / 1.5


def test_loads_are_as_large_as_the_pods():
    slow = autoscale.replace(autoscale.MEASURED, c_s=0.2)
    load, seconds = autoscale.scaled(*autoscale.LOADS["burst"], slow)
    assert seconds == 1800
    assert autoscale.needed(load(700), slow, 0.7) == \
        autoscale.needed(autoscale.burst(700), autoscale.MEASURED, 0.7)


@pytest.mark.parametrize("url,why", [("nonsense", "unknown url type"),
                                     ("http://127.0.0.1:1/metrics", "refused")])
def test_a_server_that_is_not_there(url, why):
    with pytest.raises(SystemExit, match=why):
        autoscale.learnt(url, "m", autoscale.MEASURED)


def test_the_line_of_a_server(monkeypatch):
    page = "\n".join(f'{name}{{model_name="m",model_version="1.0",hostname="h",}} {value}'
                     for name, value in (("sconce_batch_seconds", "0.004"),
                                         ("sconce_batch_request_seconds", "0.001"),
                                         ("sconce_workers_ready", "3.0")))

    class Answer:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self, _):
            return page.encode()
    monkeypatch.setattr(autoscale.urllib.request, "urlopen", lambda *_, **__: Answer())
    model = autoscale.learnt("http://x/metrics", "m", autoscale.MEASURED)
    assert (model.a_s, model.c_s, model.workers) == (0.004, 0.001, 3)
    with pytest.raises(SystemExit, match="has it been asked"):
        autoscale.learnt("http://x/metrics", "other", autoscale.MEASURED)
