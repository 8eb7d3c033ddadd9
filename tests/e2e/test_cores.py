# SPDX-License-Identifier: Apache-2.0
"""How cores are divided: workers by default, and the threads that each of them is told to use."""

import json
import os
import uuid

import pytest

from e2e.archives import HANDLERS, make_mar
from e2e.gate import Gate, background
from e2e.server import eventually

# Stands in for torch, which is told how many threads to use.
THREADS = """
import json
import os
import sys
import types

from gate_at import enter


class Threads:
    def initialize(self, context):
        torch = types.ModuleType("torch")
        torch.threads = int(os.environ["OMP_NUM_THREADS"])
        torch.Tensor = type("Tensor", (), {})
        torch.get_num_threads = lambda: torch.threads
        torch.set_num_threads = lambda n: setattr(torch, "threads", n)
        sys.modules["torch"] = torch

    def handle(self, data, context):
        enter(json.loads(bytes(data[0]["body"])))
        return [{"threads": sys.modules["torch"].threads, "pid": os.getpid()} for _ in data]
"""


@pytest.fixture
def two_cores():
    """Whatever is started meanwhile may use two."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("this machine has one core")
    os.sched_setaffinity(0, cpus[:2])
    yield
    os.sched_setaffinity(0, cpus)


def make(store, name, threads=None, config=None):
    """An archive; `threads`: those that `sconce optimize` found to be best for each worker."""
    figures = {"serving": {"instances": 2 // (threads or 1), "threads": threads, "measured": []}}
    files = {"gate_at.py": (HANDLERS / "gate.py").read_text()}
    if threads:
        files["optimized/optimized.json"] = json.dumps(figures)
    make_mar(store, name, THREADS, config=config, files=files)


def start(serve, store, models, **settings):
    server = serve(store=store, load_models=",".join(f"{m}.mar" for m in models),
                   **{"default_workers_per_model": None, "frame_batching": False, **settings})
    for model in models:
        eventually(lambda m=model: server.model_ready(m))
    return server


def threads_of(server, model, folder):
    """What each of its workers uses: all of them are held at once."""
    gates = [Gate(folder, f"gate-{uuid.uuid4()}") for _ in server.worker_pids(model)]
    calls = [background(server.predict, model, gate.body()) for gate in gates]
    for gate in gates:
        gate.wait_entered()
    for gate in gates:
        gate.open()
    answers = [call.result().json() for call in calls]
    assert len({answer["pid"] for answer in answers}) == len(gates)
    return sorted(answer["threads"] for answer in answers)


def uses(server, model, threads, folder):
    """They are told when they are ready, and when others come or go."""
    eventually(lambda: threads_of(server, model, folder) == threads,
               lambda: f"{model}: {threads_of(server, model, folder)}, not {threads}")


def test_two_models_on_two_cores_use_one_each(two_cores, serve, tmp_path):
    for name in ("a", "b"):
        make(tmp_path, name, config="minWorkers: 1\nmaxWorkers: 1\n")
    server = start(serve, tmp_path, ["a"])
    uses(server, "a", [2], tmp_path)
    assert server.register("b.mar").status_code == 200
    uses(server, "a", [1], tmp_path)
    uses(server, "b", [1], tmp_path)
    assert server.manage("DELETE", "/models/b").status_code == 200
    uses(server, "a", [2], tmp_path)


@pytest.mark.parametrize("best, workers", [(1, [1, 1]), (2, [2])])
def test_figures_of_optimize_say_how_many(two_cores, serve, tmp_path, best, workers):
    make(tmp_path, "a", best)
    uses(start(serve, tmp_path, ["a"]), "a", workers, tmp_path)


def test_models_with_figures_share_the_cores(two_cores, serve, tmp_path):
    make(tmp_path, "a", 1)
    make(tmp_path, "b", 2)
    server = start(serve, tmp_path, ["a", "b"])
    uses(server, "a", [1], tmp_path)
    uses(server, "b", [1], tmp_path)


@pytest.mark.parametrize("config, settings, workers", [
    ("minWorkers: 1\nmaxWorkers: 1\n", {}, [2]),
    ("optimized: false\n", {}, [1, 1]),
    (None, {"default_workers_per_model": 2}, [1, 1]),
])
def test_what_somebody_says_goes_before_figures(two_cores, serve, tmp_path, config, settings,
                                                workers):
    make(tmp_path, "a", 1 if "min" in str(config) else 2, config=config)
    uses(start(serve, tmp_path, ["a"], **settings), "a", workers, tmp_path)
