# SPDX-License-Identifier: Apache-2.0
"""Kinds of scenarios: what is done with a server, and what is counted of it."""

import json
import os
import signal
import time
from dataclasses import dataclass

import measure
import models
from servers import SconcePrometheus, every

BOTH, BEST = ("torchserve-tuned", "torchserve"), ("torchserve-tuned",)
STORES = models.CACHE / "stores"


@dataclass(frozen=True)
class Metric:
    key: str
    title: str
    more: bool = False        # more is better
    wanted: float = 0         # what this project wants to reach; 0: nothing particular
    digits: int = 0


def cpu(wanted=0):
    return Metric("cpu", "CPU seconds per 1,000", wanted=wanted, digits=3)


class Scenario:
    """`begin` once per server, then `measure` once per round, which returns a value per metric."""

    peers = BEST
    title = ""
    metrics = ()

    def begin(self, server):
        pass

    def measure(self, server, seconds):
        raise NotImplementedError

    def end(self):
        """Stops what it started besides the servers it was given."""


class Load(Scenario):
    """As many requests as the server can answer to a number of clients."""

    peers = BOTH

    def __init__(self, title, metrics, model="echo", size=1024, clients=16, batch=1, workers=1):
        self.title, self.metrics = title, metrics
        self.model, self.clients, self.batch, self.workers = model, clients, batch, workers
        self.size = size
        self.threads = 1
        self.kinds = ()
        self.archive = None

    path = property(lambda self: f"/predictions/{self.model}")

    def store(self):
        return models.echo_store(STORES / "echo")

    def store_for(self, server):
        return self.store()

    def body(self):
        return models.body_file(self.size)

    def check(self, server):
        status, answer = server.call("POST", self.path, self.body().read_bytes())
        assert status == 200 and answer == self.body().read_bytes(), (status, answer[:200])

    def begin(self, server):
        server.start(self.store_for(server))
        server.register(self.model, self.workers, self.batch, archive=self.archive)
        self.check(server)
        self.load(server, server.warm_up)
        server.settle()

    def load(self, server, seconds):
        return measure.closed_loop(server, self.path, self.body(), self.clients,
                                   max(1, round(seconds)), self.threads, self.kinds)

    def measure(self, server, seconds):
        return measure.calm(server, lambda: self.load(server, seconds))


class LogMode(Load):
    """What the default, metrics_mode=log, costs: beside a server that publishes them."""

    peers = ()
    beside = None

    def begin(self, server):
        super().begin(server)
        self.beside = SconcePrometheus()
        super().begin(self.beside)

    def measure(self, server, seconds):
        found = super().measure(server, seconds)
        beside = super().measure(self.beside, seconds)
        return {**found, "failed": found["failed"] + beside["failed"],
                "disturbed": found["disturbed"] or beside["disturbed"],
                "rate_beside": beside["rate"], "cpu_beside": beside["cpu"],
                "share": found["rate"] / beside["rate"]}

    def end(self):
        if self.beside:
            self.beside.stop()


class Image(Load):
    """The classifier of the demonstration, from archive to five class names."""

    def __init__(self, title, metrics):
        super().__init__(title, metrics, model="image", clients=8, workers=2)
        self.assets = None

    def store(self):
        self.assets = self.assets or models.image_assets()
        return models.image_store(STORES / "image", self.assets)

    def body(self):
        return self.assets.photo

    def check(self, server):
        status, answer = server.call("POST", self.path, self.body().read_bytes())
        assert status == 200 and len(json.loads(answer)) == 5, (status, answer[:500])


class Optimized(Image):
    """TorchServe gets the archive as it is, sconce what `sconce optimize` has made of it."""

    peers = BEST

    def __init__(self, title, metrics, *options, handler="image_classifier"):
        super().__init__(title, metrics)
        self.options, self.handler, self.made = options, handler, None
        self.place = STORES / "-".join(("optimized", handler.split(".")[0], *options)).replace(
            "--", "")

    def store(self):
        self.assets = self.assets or models.image_assets()
        return models.image_store(self.place / "original", self.assets, self.handler)

    def store_for(self, server):
        original = self.store()
        if server.name != "sconce":
            return original
        server.python = models.OPTIMIZE_PYTHON
        self.made = self.made or models.optimized_store(
            self.place / "optimized", original / "image.mar", self.body(), self.options)
        return self.made


class Own(Image):
    """An archive with a handler of its own, as it is."""

    def store(self):
        self.assets = self.assets or models.image_assets()
        return models.image_store(STORES / "own", self.assets, "photo.py")


class Ping(Load):
    """What the server itself costs, without a model."""

    path = "/ping"

    def __init__(self, title, metrics):
        super().__init__(title, metrics, clients=64)
        self.threads = 2

    def body(self):
        return None

    def check(self, server):
        status, answer = server.call("GET", self.path)
        assert (status, json.loads(answer)) == (200, {"status": "Healthy"}), (status, answer)


class OpenLoop(Load):
    """Latency at a rate that every server can serve."""

    RATE = 840

    def begin(self, server):
        super().begin(server)
        measure.open_loop(server, self.path, self.body(), self.RATE, 1)

    def measure(self, server, seconds):
        return measure.calm(server, lambda: measure.open_loop(
            server, self.path, self.body(), self.RATE, max(seconds, 3)))


class Restart(Scenario):
    """Starts and stops the server in each round."""

    def __init__(self, title, metrics, load):
        self.title, self.metrics, self.load = title, metrics, load

    def measure(self, server, seconds):
        store = self.load.store_for(server)
        try:
            return {"disturbed": False, "failed": 0, **self.once(server, store)}
        finally:
            server.stop()

    def start(self, server, store):
        """Seconds from the start of the process to the first good answer."""
        model = self.load.model
        server.start(store, [f"{model}.mar"])
        return server.first_answer(self.load.path, self.load.body().read_bytes())

    def once(self, server, store):
        return {"start": self.start(server, store)}


class Recovery(Restart):
    """A worker is killed: how long until the next good answer?"""

    def once(self, server, store):
        self.start(server, store)
        body = self.load.body().read_bytes()
        for _ in range(20):
            server.call("POST", self.load.path, body)
        pid, = every(0.01, lambda: server.workers(self.load.model))
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        every(0.005, lambda: server.call("POST", self.load.path, body)[0] == 200)
        return {"recovery": time.monotonic() - began}


class Memory(Restart):
    """Resident memory with two workers that have worked."""

    def once(self, server, store):
        server.start(store)
        server.register(self.load.model, 2)
        self.load.load(server, 3)
        return {"pss": server.memory()}


class Many(Restart):
    """Twenty models with one worker each."""

    NAMES = [f"echo{i}" for i in range(20)]

    def once(self, server, store):
        store = models.echo_store(STORES / "many", self.NAMES)
        server.start(store, [f"{name}.mar" for name in self.NAMES])
        for name in self.NAMES:
            started = server.first_answer(f"/predictions/{name}", b"x")
        return {"start": started, "pss": server.memory()}


def rate(wanted=0):
    return Metric("rate", "requests/s", more=True, wanted=wanted)
