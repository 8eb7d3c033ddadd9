#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What autoscalers do with a model: simulates an HPA and KEDA over loads that change.

    bench/autoscale.py                                    the table of docs/scaling.md
    bench/autoscale.py --charts docs                      … and its charts, as SVG
    bench/autoscale.py --metrics http://127.0.0.1:8082/metrics --model NAME
                                                          with the times that a server has learnt

The formulas are in scalers.py, the pods in pods.py. Nothing here is fitted to look well: figures
that were not measured are options, and --help says what they are."""

import argparse
import math
import random
import re
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from charts import draw
from pods import Fleet, Model, Prometheus
from scalers import SYNC_S, Hpa, Keda, Limits, by_average, by_resource, by_value

# EfficientNet-lite0 from a photograph, the archive as it is: 93 requests/s by 2 workers
# (docs/performance.md). Batches gain nothing there, so all of it is per request.
MEASURED = Model(a_s=0.0, c_s=2 / 93, start_s=10)
RULES_S, HPA_S = 5, 10          # of each 15 s: scrape at 0, rules, then the HPA


# ---- loads: seconds → requests a second, for pods like the measured one ----

def ramp(t):
    return 60 + 540 * min(max((t - 300) / 600, 0), 1)


def burst(t):
    return 500 if 600 <= t < 900 else 100


def daily(t):
    """A day in two hours, with its noon and its evening."""
    x = 2 * math.pi * t / 7200
    return max(330 - 270 * math.cos(x) - 70 * math.cos(2 * x), 20)


def visits(t):
    """Somebody for two minutes, and then nobody for thirteen."""
    return 3 if t % 900 >= 780 else 0


LOADS = {"ramp": (ramp, 1800), "burst": (burst, 1800), "daily": (daily, 7200),
         "visits": (visits, 3600)}


def scaled(load, seconds, model):
    """The same for pods that are faster or slower: as many of them are needed."""
    by = model.rate() / MEASURED.rate()
    return lambda t: load(t) * by, seconds


# ---- scalers: what they ask for, from what is known ----

@dataclass
class Known:
    fleet: Fleet
    cpu: list                   # usage over request of each pod that has been looked at
    utilization: float = 0
    utilizations: float = 0     # of all pods together
    wait_s: float = 0
    waits: float = 0


def wish_cpu(k, o):
    there = k.fleet.count()
    usages = k.cpu[:there] + [None] * (there - len(k.cpu))
    return [by_resource(usages, o.busy, there)]


def wish_utilization(k, o):
    return [by_value(k.utilization / o.busy, k.fleet.count(), k.fleet.ready())]


def wish_wait(k, o):
    return [by_value(k.wait_s / o.wait, k.fleet.count(), k.fleet.ready())]


def wish_both(k, o):
    return wish_utilization(k, o) + wish_wait(k, o)


def wish_chart(k, o):
    """The chart's HPA and its KEDA triggers: AverageValue, over what is right for one pod."""
    there = k.fleet.count()
    return [by_average(k.utilizations, o.busy, there), by_average(k.waits, o.wait, there)]


# Those of the chart grow to twice as many in 15 s at most, and shrink by a fifth in a minute
# (deploy/helm/sconce/values.yaml).
CHART = {"up_pods": 0, "down_share": 0.2, "down_period_s": 60}


@dataclass
class Scaler:
    wishes: Callable
    behavior: dict = field(default_factory=dict)
    to_zero: bool = False       # by KEDA
    holds: bool = False         # … and what stands in front keeps requests meanwhile


SCALERS = {"CPU": Scaler(wish_cpu), "utilization": Scaler(wish_utilization),
           "queue wait": Scaler(wish_wait), "utilization and wait": Scaler(wish_both),
           "both, as the chart": Scaler(wish_chart, CHART)}
TO_ZERO = {"one pod at least": SCALERS["both, as the chart"],
           "KEDA, to zero": Scaler(wish_chart, CHART, True),
           "KEDA, to zero, held in front": Scaler(wish_chart, CHART, True, True)}


# ---- one run ----

@dataclass
class Course:
    """What happened, second by second, and in sum."""
    load: list
    pods: list
    ready: list
    misses: list
    answered: int = 0
    late: int = 0
    refused: int = 0
    worst_s: float = 0.0

    def missed(self):
        return (self.late + self.refused) / max(self.answered + self.refused, 1)


def arrivals(rate, second, rng):
    """Times of a second's requests: at random, as of many clients."""
    n, limit, product = 0, rate, 0.0
    while product < limit:
        product += rng.expovariate(1)
        n += 1
    return sorted(second + rng.random() for _ in range(n - 1))


class Meters:
    """What the scalers can know: late, and averaged."""

    def __init__(self, fleet):
        self.fleet, self.prometheus, self.known = fleet, Prometheus(), Known(fleet, [])
        self.cpu_before = {}

    def look(self, second):
        """Called each second; each of the sources has its time."""
        at = second % SYNC_S
        if at == 0:
            sample = self.fleet.scrape()
            self.prometheus.take(second, sample)
            self._read_cpu(sample)
        elif at == RULES_S and self.prometheus.samples:
            k, p = self.known, self.prometheus
            k.utilization, k.utilizations = p.utilization(), p.utilizations()
            k.wait_s, k.waits = p.wait_s(), p.waits()

    def _read_cpu(self, sample):
        """metrics-server: what a pod has used since the last look, over what it requests."""
        model = self.fleet.model
        self.known.cpu = [(values[0] - self.cpu_before[key]) / SYNC_S * model.cpu / model.workers
                          for key, values in sample.items() if key in self.cpu_before]
        self.cpu_before = {key: values[0] for key, values in sample.items()}


class Waker:
    """KEDA between none and one: it asks for the requests of the last minute that what stands in
    front has counted, as of its last scrape."""

    def __init__(self, fleet):
        self.fleet, self.keda, self.counted, self.active = fleet, Keda(), [], False

    def look(self, second):
        """How many pods there are to be, None: that is for the HPA."""
        if second % SYNC_S == 0:
            self.counted = [*self.counted, self.fleet.asked][-5:]
            self.active = self.counted[-1] > self.counted[0]
        if second % self.keda.poll_s:
            return None
        return self.keda.decide(second, self.fleet.count(), self.active)


def run(model, load, seconds, scaler, options, seed=1):
    rng, scaler = random.Random(seed), {**SCALERS, **TO_ZERO}[scaler]
    first = min(max(needed(load(0), model, options.busy), options.least), options.most)
    fleet = Fleet(model, first, options.slo, scaler.holds)
    hpa = Hpa(Limits(least=options.least, most=options.most, **scaler.behavior))
    meters, waker = Meters(fleet), Waker(fleet)
    course = Course([], [], [], [])
    before = 0
    for second in range(seconds):
        fleet.run_until(second)
        fleet.look()
        meters.look(second)
        wanted = waker.look(second) if scaler.to_zero else None
        if wanted is not None:
            fleet.scale(wanted)
        elif second % SYNC_S == HPA_S and second >= SYNC_S and fleet.count():
            fleet.scale(hpa.decide(second, fleet.count(), scaler.wishes(meters.known, options)))
        for when in arrivals(load(second), second, rng):
            fleet.run_until(when)
            fleet.arrive()
        missed = fleet.late + fleet.refused
        course.load.append(load(second))
        course.pods.append(fleet.count())
        course.ready.append(fleet.ready())
        course.misses.append(missed - before)
        before = missed
    fleet.run_until(seconds + 1e6)
    course.answered, course.late, course.refused = fleet.answered, fleet.late, fleet.refused
    course.worst_s = fleet.worst_s
    return course


# ---- what came of it ----

def needed(rate, model, busy):
    """Pods that keep workers no busier than that."""
    return max(math.ceil(rate / (busy * model.rate())), 1)


def figures(course, model, options):
    ideal = [needed(rate, model, options.busy) for rate in course.load]
    return {
        "missed": course.missed(),
        "refused": course.refused / max(course.answered + course.refused, 1),
        "short_s": sum(r * model.rate() < rate for r, rate in zip(course.ready, course.load)),
        "most": max(course.pods), "needed": max(ideal),
        "hours": sum(course.pods) / 3600, "ideal_hours": sum(ideal) / 3600,
        "changes": sum(a != b for a, b in zip(course.pods, course.pods[1:])),
    }


def waits(model, options, seconds=2000):
    """(utilization, mean, p99) of the waits for a worker, of one pod under an even load."""
    class Noting(Fleet):
        def _answer(self, took_s):
            took.append(max(took_s - model.a_s - model.c_s, 0))
    for share in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
        took, rng = [], random.Random(options.seed)
        fleet = Noting(replace(model, queue=10**9), 1, 1)
        for second in range(seconds):
            for when in arrivals(share * model.rate(), second, rng):
                fleet.run_until(when)
                fleet.arrive()
        took.sort()
        yield share, sum(took) / len(took), took[len(took) * 99 // 100]


HEAD = ("| load | scaled by | late or refused | … refused | seconds with too few pods "
        "| most pods (needed) | pod hours (needed) | changes |\n|---|---|---|---|---|---|---|---|")


def row(load, scaler, f):
    return (f"| {load} | {scaler} | {100 * f['missed']:.1f} % | {100 * f['refused']:.1f} % "
            f"| {f['short_s']} | {f['most']} ({f['needed']}) "
            f"| {f['hours']:.2f} ({f['ideal_hours']:.2f}) | {f['changes']} |")


def learnt(url, name, model):
    """The line that a server has learnt of a model."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read(1 << 24).decode()
    except (OSError, ValueError) as e:      # nobody there, no address, no text
        sys.exit(f"autoscale: {url} cannot be read: {getattr(e, 'reason', e)}")

    def figure(family):
        found = re.search(rf'^{family}\{{model_name="{re.escape(name)}",.*\}} (\S+)$', text, re.M)
        if not found:
            sys.exit(f"autoscale: {url} has no {family} of the model {name!r}: has it been asked?")
        return float(found[1])
    return replace(model, a_s=figure("sconce_batch_seconds"),
                   c_s=figure("sconce_batch_request_seconds"),
                   workers=int(figure("sconce_workers_ready")))


def parse(arguments):
    p = argparse.ArgumentParser(description="Simulates autoscalers for a model.")
    p.add_argument("--metrics", metavar="URL", help="learn the time of a batch from this server")
    p.add_argument("--model", help="… and of this model")
    p.add_argument("--batch", type=int, default=MEASURED.batch, help="batchSize (%(default)s)")
    p.add_argument("--cpu", type=float, default=1,
                   help="cores that a busy worker uses; 0.2: its GPU does the work (%(default)s)")
    p.add_argument("--start", type=float, default=MEASURED.start_s,
                   help="seconds from a decision until the pod answers (%(default)s)")
    p.add_argument("--busy", type=float, default=0.7, help="target utilization (%(default)s)")
    p.add_argument("--wait", type=float, default=0.2, help="target wait, s (%(default)s)")
    p.add_argument("--slo", type=float, default=0.5, help="later is late, s (%(default)s)")
    p.add_argument("--least", type=int, default=1, help="pods (%(default)s)")
    p.add_argument("--most", type=int, default=20, help="pods (%(default)s)")
    p.add_argument("--waits", action="store_true",
                   help="instead: how long requests wait, by how busy workers are")
    p.add_argument("--load", action="append", choices=LOADS, help="only this")
    p.add_argument("--scaler", action="append", choices={**SCALERS, **TO_ZERO}, help="only this")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--charts", type=Path, metavar="FOLDER", help="write scaling-LOAD.svg there")
    p.add_argument("--suffix", default="", help="… with this behind LOAD")
    options = p.parse_args(arguments)
    if bool(options.metrics) != bool(options.model):
        p.error("--metrics and --model go together")
    if min(options.busy, options.wait, options.slo) <= 0 or options.busy > 1:
        p.error("targets are above 0, and --busy at most 1")
    if not 1 <= options.least <= options.most:
        p.error("--least is at least 1, and at most --most")
    return options


def main(arguments=None):
    options = parse(arguments)
    model = replace(MEASURED, batch=options.batch, cpu=options.cpu, start_s=options.start)
    if options.metrics:
        model = learnt(options.metrics, options.model, model)
    print(f"a pod answers {model.rate():.0f} requests/s, and starts in {model.start_s:g} s\n")
    if options.waits:
        for share, mean, p99 in waits(model, options):
            print(f"| {share:.0%} | {mean * 1e3:.0f} | {p99 * 1e3:.0f} |")
        return 0
    if options.charts and not options.charts.is_dir():
        sys.exit(f"autoscale: --charts: {options.charts} is no folder")
    print(HEAD)
    for name in options.load or LOADS:
        load, seconds = scaled(*LOADS[name], model)
        courses = {}
        for scaler in options.scaler or (TO_ZERO if name == "visits" else SCALERS):
            course = run(model, load, seconds, scaler, options, options.seed)
            courses[scaler] = course
            print(row(name, scaler, figures(course, model, options)), flush=True)
        if options.charts:
            title = f"{name}{options.suffix}: pods over time"
            text = draw(courses, lambda rate: rate / model.rate(), title)
            (options.charts / f"scaling-{name}{options.suffix}.svg").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
