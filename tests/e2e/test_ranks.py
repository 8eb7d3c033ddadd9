# SPDX-License-Identifier: Apache-2.0
"""Workers of several processes: parallelType pp, tp and pptp."""

import hashlib
import os
import signal

import pytest

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import eventually, marked_processes
from e2e.test_devices import fake_tool

TWO = "minWorkers: 1\nmaxWorkers: 1\nparallelType: pp\nparallelLevel: 2\n"
TORCHRUN = ("minWorkers: 2\nmaxWorkers: 2\nparallelType: tp\ntorchrun:\n  nproc-per-node: 2\n"
            "  OMP_NUMBER_THREADS: 3\n  rdzv-backend: c10d\n  max-restarts: 5\n")


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    make_mar(store, "two", "ranks.py", config=TWO)
    make_mar(store, "batched", "ranks.py", config=TWO + "batchSize: 4\nmaxBatchDelay: 50\n")
    make_mar(store, "torchrun", "ranks.py", config=TORCHRUN)
    return module_serve(store=store, environment=fake_tool(module_tmp / "bin"))


def ask(server, model="two", body=b"x", ranks=2):
    response = server.predict(model, data=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert [a["rank"] for a in answer] == list(range(ranks))
    assert all(hashlib.sha256(body).hexdigest() in a["digests"] for a in answer)
    assert len({str(a["digests"]) for a in answer}) == 1
    return answer


def test_every_rank_is_called_with_the_same(server):
    for body in (b"x", os.urandom(50_000), os.urandom(3_000_000), b"y"):
        answer = ask(server, body=body)
    assert answer[0]["pid"] == server.worker_pids("two")[0] != answer[1]["pid"]
    assert [a["environment"] for a in answer] == [
        {"RANK": str(r), "LOCAL_RANK": str(r), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
         "CUDA_VISIBLE_DEVICES": answer[0]["environment"]["CUDA_VISIBLE_DEVICES"],
         "OMP_NUM_THREADS": "1"} for r in (0, 1)]
    # Each uses its own of the GPUs that both see.
    assert [a["gpu_id"] for a in answer] == [0, 1]


def test_batches_stay_together(server):
    def largest():
        calls = [background(ask, server, "batched", b"%d" % i * 1000) for i in range(12)]
        return max(len(c.result(30)[0]["digests"]) for c in calls)
    # How many travel together depends on time; that they stay together does not.
    eventually(lambda: largest() > 1, "some travel together")


def test_torchrun_section(server):
    described = server.describe("torchrun")[0]
    assert (described["parallelType"], described["parallelLevel"]) == ("tp", 2)
    environment = ask(server, "torchrun")[0]["environment"]
    assert environment["OMP_NUM_THREADS"] == "3"
    pairs = {p.split(b"CUDA_VISIBLE_DEVICES=")[1].split(b"\0")[0]
             for p in map(environ, all_pids(server, "torchrun"))}
    assert pairs <= {b"0,1", b"2,3"} and len(pairs) == 2


def environ(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:
            return f.read()
    except OSError:     # it has just ended
        return b""


def all_pids(server, model):
    return [pid for pid, _ in marked_processes(server.mark)
            if f"TORCHELASTIC_RUN_ID={model}_".encode() in environ(pid)]


@pytest.mark.parametrize("rank", [0, 1])
def test_the_end_of_one_rank_is_the_end_of_all(server, rank):
    before = {a["pid"] for a in ask(server)}
    os.kill(ask(server)[rank]["pid"], signal.SIGKILL)
    eventually(lambda: not before & {p for p, _ in marked_processes(server.mark)}, "all have ended")
    eventually(lambda: server.worker_pids("two") not in ([], list(before)), "they are back")
    assert not before & {a["pid"] for a in ask(server)}
    if rank:
        server.said("rank 1 of 2 was killed by signal 9")


def test_stop_leaves_no_process(server):
    pids = {a["pid"] for a in ask(server, "batched")}
    assert server.manage("PUT", "/models/batched?min_worker=0&max_worker=0&synchronous=true"
                         ).status_code == 200
    eventually(lambda: not pids & {p for p, _ in marked_processes(server.mark)}, "both have ended")


def test_a_killed_server_leaves_no_process(serve, tmp_path):
    make_mar(tmp_path / "store", "two", "ranks.py", config=TWO)
    server = serve(store=tmp_path / "store")
    assert len(all_pids(server, "two")) == 2
    server.process.kill()
    server.process.wait()
    server.ended = True
    eventually(lambda: not marked_processes(server.mark), "no process is left")


@pytest.mark.parametrize("rank,why", [
    (0, "rank 0 was told to fail"), (1, "rank 1 was told to fail"),
    (2, "rank 2 of 3 exited with code 1 while loading")])
def test_a_rank_that_cannot_load(serve, tmp_path, rank, why):
    make_mar(tmp_path / "store", "three", "ranks.py",
             config="parallelType: pptp\nparallelLevel: 3\n")
    server = serve(store=tmp_path / "store", load_models=None,
                   environment={"FAIL_RANK": str(rank)})
    response = server.register("three.mar", initial_workers=1)
    assert response.status_code == 500
    eventually(lambda: why in server.log("model_log.log") + server.log("ts_log.log"), why)
    eventually(lambda: not all_pids(server, "three"), "all have ended")


ENDS_LOADED = """
import os
import threading

from sconce import serving

PAUSE = threading.Event()
NOTE = os.environ["DEVICE_NOTES"] + "/pid"


def is_there(pid):
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


class EndsLoaded:
    def initialize(self, context):
        if os.environ["RANK"] == "1":
            threading.Thread(target=self.end).start()
        elif os.environ["RANK"] == "0":
            while not os.path.exists(NOTE) or is_there(open(NOTE).read()):
                PAUSE.wait(0.01)

    def end(self):
        while not serving.session:     # it has said that it is loaded
            PAUSE.wait(0.01)
        with open(NOTE + ".new", "w") as f:
            f.write(str(os.getpid()))
        os.rename(NOTE + ".new", NOTE)
        os._exit(3)

    def handle(self, data, context):
        return ["done"] * len(data)
"""


def test_a_rank_that_ends_when_it_has_loaded(serve, tmp_path):
    make_mar(tmp_path / "store", "three", ENDS_LOADED,
             config="parallelType: pp\nparallelLevel: 3\n")
    server = serve(store=tmp_path / "store", load_models=None,
                   environment={"DEVICE_NOTES": str(tmp_path)})
    response = server.register("three.mar", initial_workers=1)
    assert response.status_code == 500, "its requests would go to a worker that has no rank 1"
    assert "rank 1 of 3 exited with code 3 while loading" in response.text


@pytest.mark.parametrize("section,why", [
    ("nnodes: 2", "rdzv-endpoint: it has to name the node with node-rank 0"),
    ("node-rank: 1", "node-rank: it has to be less than nnodes"),
    ("{nnodes: 2, rdzv-endpoint: 'a:1', rdzv-backend: etcd}",
     "rdzv-backend: for several nodes it has to be c10d or static")])
def test_nodes_that_would_not_find_each_other(serve, tmp_path, section, why):
    section = section if section.startswith("{") else "{" + section + "}"
    make_mar(tmp_path / "store", "wide", "ranks.py",
             config=f"parallelType: pp\nparallelLevel: 1\ntorchrun: {section}\n")
    server = serve(store=tmp_path / "store", load_models=None)
    assert server.register("wide.mar", initial_workers=1).status_code == 500
    eventually(lambda: "torchrun." + why in server.log("ts_log.log"), why)


NODES = """
import os

ADDRESS = ("RANK", "WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")


def handle(data, context):
    return [{n: os.environ[n] for n in ADDRESS} for _ in data] if data is not None else None
"""


def test_several_nodes(serve, tmp_path):
    make_mar(tmp_path / "store", "wide", NODES, config=(
        "minWorkers: 2\nmaxWorkers: 2\nparallelType: pp\n"
        "torchrun: {nproc-per-node: 2, nnodes: 3, node-rank: 1, rdzv-endpoint: 'first:1234'}\n"))
    server = serve(store=tmp_path / "store")
    assert server.predict("wide", data=b"x").json() == {
        "RANK": "2", "WORLD_SIZE": "6", "GROUP_RANK": "1", "MASTER_ADDR": "first",
        "MASTER_PORT": "1234"}
    assert len(server.describe("wide")[0]["workers"]) == 1


CONTINUOUS = """
import json
import os


class Counts:
    def initialize(self, context):
        self.left = {}

    def handle(self, data, context):
        ids = [context.get_request_id(i) for i in range(len(data))]
        for i, row in zip(ids, data):
            if row:
                self.left[i] = int(bytes(row["body"]).split()[0])
        for i in ids:
            self.left[i] -= 1
        with open(os.path.join(os.environ["DEVICE_NOTES"], os.environ["RANK"]), "a") as f:
            print(json.dumps([[i, self.left[i]] for i in ids]), file=f)
        context.stopping_criteria = [lambda _, i=i: self.left[i] == 0 for i in ids]
        return [str(self.left[i]) for i in ids]
"""


def test_continuous_batching_goes_in_step(serve, tmp_path):
    make_mar(tmp_path / "store", "steps", CONTINUOUS,
             config=TWO + "batchSize: 4\ncontinuousBatching: true\n")
    server = serve(store=tmp_path / "store", environment={"DEVICE_NOTES": str(tmp_path)})
    calls = [background(server.predict, "steps", b"%d " % n + b"x" * 20_000)
             for n in (9, 3, 7, 1, 5, 8)]
    assert sorted(c.result(30).text for c in calls) == [
        "".join(map(str, reversed(range(n)))) for n in (1, 3, 5, 7, 8, 9)]
    lead = (tmp_path / "0").read_text()
    eventually(lambda: (tmp_path / "1").exists() and (tmp_path / "1").read_text() == lead,
               "rank 1 has taken the same steps")


ASYNC = """
import os


async def handle(data, context):
    if data is None:
        return None
    with open(os.path.join(os.environ["DEVICE_NOTES"], os.environ["RANK"]), "ab", 0) as f:
        for row in data:
            f.write(b"%d:%s\\n" % (len(row["body"]), bytes(row["body"])[:3]))
    return [b"done"] * len(data)
"""


def test_async_handlers(serve, tmp_path):
    make_mar(tmp_path / "store", "later", ASYNC, config=TWO + "asyncCommunication: true\n")
    server = serve(store=tmp_path / "store", environment={"DEVICE_NOTES": str(tmp_path)})
    bodies = [b"%03d" % i * (1 + 10_000 * (i % 3)) for i in range(20)]
    calls = [background(server.predict, "later", body) for body in bodies]
    assert {c.result(30).text for c in calls} == {"done"}
    lines = sorted(b"%d:%s" % (len(b), b[:3]) for b in bodies)
    eventually((tmp_path / "1").exists, "rank 1 has begun")
    for rank in ("0", "1"):
        eventually(lambda r=rank: sorted((tmp_path / r).read_bytes().splitlines()) == lines,
                   f"rank {rank} had all of them")


GLOO = """
import os

import torch
import torch.distributed as dist


class Sum:
    def initialize(self, context):
        dist.init_process_group("gloo")
        self.rank = dist.get_rank()

    def handle(self, data, context):
        value = torch.tensor([float(self.rank + 1), float(len(data))])
        dist.all_reduce(value)
        return [{"sum": value.tolist(), "ranks": dist.get_world_size(),
                 "threads": torch.get_num_threads(),
                 "elastic": dist.is_torchelastic_launched()} for _ in data]
"""


@pytest.mark.torch
def test_real_collectives(serve, tmp_path):
    make_mar(tmp_path / "store", "sum", GLOO, config=TWO)
    server = serve(store=tmp_path / "store")
    for _ in range(3):
        assert server.predict("sum", data=b"x").json() == {
            "sum": [3.0, 2.0], "ranks": 2, "threads": 1, "elastic": True}
