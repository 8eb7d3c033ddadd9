# SPDX-License-Identifier: Apache-2.0
"""Measures candidates through real workers, in turns: what else the machine does meets all of them.

Each has a server of its own, which thinks that it is alone. While one is measured the others wait.
"""

import http.client
import os
import statistics
import subprocess

from sconce.optimize.failure import Unsuitable, sentence
from sconce.optimize.server import Server

# A server that is killed, or does not answer, costs its candidate.
LOST = (Unsuitable, OSError, http.client.HTTPException, subprocess.SubprocessError, ValueError)


def processors():
    return len(os.sched_getaffinity(0))


def _counts(most):
    """1, 2, 4 … and the greatest."""
    return sorted({1 << i for i in range(most.bit_length())} | {most})


class Figures:
    """What was seen of one candidate: medians of the rounds."""

    def __init__(self):
        self.latency, self.throughput = [], []
        self.load_s = self.memory = None

    def as_json(self):
        return {"latency_ms": statistics.median(self.latency),
                "throughput": statistics.median(self.throughput),
                "load_s": self.load_s, "memory": self.memory}


class Bench:
    """`body`: the file that every request posts."""

    def __init__(self, name, body, media_type, instances, seconds, device="cpu"):
        self.name, self.body, self.media_type = name, body, media_type
        self.instances, self.seconds, self.device = instances, seconds, device
        self.servers, self.figures, self.errors = {}, {}, {}

    def start(self, candidate, model_dir):
        try:
            self.servers[candidate] = server = Server(self.name, model_dir, self.device)
            self.figures[candidate] = figures = Figures()
            server.scale(1)         # the first load fills caches of files
            server.scale(0)
            figures.load_s = server.scale(1)
            why = server.uses_original()
            if why:
                raise Unsuitable("it cannot be used: " + why)
        except LOST as e:
            self._give_up(candidate, e)

    def _give_up(self, candidate, error):
        self.errors[candidate] = str(error) if isinstance(error, Unsuitable) else (
            "its server or worker was lost: %s" % sentence(error))
        self.figures.pop(candidate, None)
        server = self.servers.pop(candidate, None)
        if server:
            server.stop()

    def round(self, candidate):
        server, figures = self.servers[candidate], self.figures[candidate]
        try:
            server.scale(1)
            alone = server.bench(self.body, self.media_type, 1, self.seconds)
            figures.latency.append(alone["p50_ms"])
            server.scale(self.instances)
            loaded = server.bench(self.body, self.media_type, 2 * self.instances, self.seconds)
            figures.throughput.append(loaded["rate"])
            figures.memory = server.memory()
        except LOST as e:
            self._give_up(candidate, e)

    def sweep(self, candidate):
        """The number of instances, and of threads for each, that answer most; None: not known."""
        server, measured = self.servers[candidate], []
        try:
            for n in _counts(self.instances):
                server.scale(n)
                rate = server.bench(self.body, self.media_type, 2 * n, self.seconds)["rate"]
                measured.append({"instances": n, "threads": server.threads(n), "throughput": rate})
        except LOST:
            return None
        best = max(measured, key=lambda m: m["throughput"])
        return {"instances": best["instances"], "threads": best["threads"], "measured": measured}

    def stop(self):
        for server in self.servers.values():
            server.stop()
        self.servers.clear()
