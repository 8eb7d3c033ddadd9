# SPDX-License-Identifier: Apache-2.0
"""Which GPU a worker gets, with a fake nvidia-smi on the PATH."""

import json
import os
import signal

import pytest

from e2e.archives import make_mar
from e2e.server import assert_status, eventually

NVIDIA_SMI = '''#!/bin/sh
case "$1" in
--query-gpu=index,*)
	echo "index, uuid, utilization.gpu [%], utilization.memory [%]," \\
		"memory.used [MiB], memory.total [MiB]"
	for i in 0 1 2 3; do echo "$i, GPU-$i$i, 1$i %, 2$i %, 3$i MiB, 200 MiB"; done ;;
--query-gpu=index)
	echo index
	for i in 0 1 2 3; do echo $i; done ;;
*)
	exit 9 ;;
esac
'''
PARALLEL = "parallelType: custom\nparallelLevel: 2\n"


def fake_tool(folder, script=NVIDIA_SMI, name="nvidia-smi"):
    """An environment in which the tool is found first, and handlers leave notes in the folder."""
    folder.mkdir(exist_ok=True)
    tool = folder / name
    tool.write_text(script)
    tool.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "DEVICE_NOTES": str(folder)}


def workers(server, model):
    """(GPU by gpuUsage, pid) of each worker, in their order."""
    return [(w["gpuUsage"].partition(" ")[0], w["pid"])
            for w in server.describe(model)[0]["workers"]]


def seen_by_each(server, model):
    """What the handler of every worker sees, sorted by GPU."""
    seen = [json.loads((server.notes / f"{pid}.json").read_text())
            for pid in server.worker_pids(model)]
    return sorted(seen, key=lambda s: (s["gpu_id"] or 0, s["pid"]))


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    two = "minWorkers: 2\nmaxWorkers: 2\n"
    make_mar(store, "plain", "device.py")
    make_mar(store, "pinned", "device.py", config=two + "deviceIds: [3, 1]\n")
    make_mar(store, "invalid", "device.py", config=two + "deviceIds: [0, 4]\n")
    make_mar(store, "cpu", "device.py", config=two + "deviceType: cpu\n")
    make_mar(store, "gpu", "device.py", config=two + "deviceType: gpu\n")
    make_mar(store, "strides", "device.py", config=PARALLEL + "minWorkers: 3\nmaxWorkers: 3\n")
    make_mar(store, "picky", "device.py", config=PARALLEL + two + "deviceIds: [3, 0, 2, 1]\n")
    make_mar(store, "huge", "device.py", config="parallelType: custom\nparallelLevel: 5\n")
    notes = module_tmp / "bin"
    server = module_serve(store=store, load_models=None, environment=fake_tool(notes),
                          default_workers_per_model=None)
    server.notes = notes
    eventually(lambda: "GPUs: 4" in server.console, "the GPUs are counted")
    return server


@pytest.fixture
def model(server):
    """Registers a model; it goes when the test is over."""
    names = []

    def register(name, **parameters):
        response = server.register(f"{name}.mar", **parameters)
        assert response.status_code == 200, response.text
        names.append(name)
        return server.describe(name)[0]

    yield register
    for name in names:
        assert server.manage("DELETE", f"/models/{name}").status_code == 200


def test_workers_are_spread_over_all(server, model):
    described = model("plain", initial_workers=5)
    assert (described["deviceType"], "deviceIds" in described) == ("gpu", False)
    assert [w["gpu"] for w in described["workers"]] == [True] * 5
    assert [s["gpu_id"] for s in seen_by_each(server, "plain")] == [0, 0, 1, 2, 3]
    eventually(lambda: "N/A" not in [g for g, _ in workers(server, "plain")], "they are measured")
    assert [g for g, _ in workers(server, "plain")] == [f"gpuId::{i}" for i in (0, 1, 2, 3, 0)]
    assert server.describe("plain")[0]["workers"][1]["gpuUsage"] == (
        "gpuId::1 utilization.gpu::11 % utilization.memory::21 % memory.used::31 MiB")


def test_models_share_the_gpus(server, model):
    model("plain", initial_workers=1)
    model("gpu")
    assert [s["gpu_id"] for s in seen_by_each(server, "gpu")] == [1, 2]


def test_a_gpu_that_became_free_is_used_again(server, model):
    model("plain", initial_workers=4)
    victim = workers(server, "plain")[0]
    assert server.manage("PUT", "/models/plain?min_worker=3&max_worker=3&synchronous=true")
    eventually(lambda: len(workers(server, "plain")) == 3, "one worker has gone")
    assert server.manage("PUT", "/models/plain?min_worker=4&synchronous=true").status_code == 200
    assert [s["gpu_id"] for s in seen_by_each(server, "plain")] == [0, 1, 2, 3], victim


def test_device_ids(server, model):
    described = model("pinned")
    assert (described["deviceType"], described["deviceIds"]) == ("gpu", [3, 1])
    assert [s["gpu_id"] for s in seen_by_each(server, "pinned")] == [1, 3]


def test_invalid_device_ids_are_discarded(server, model):
    described = model("invalid")
    assert "deviceIds" not in described
    assert [s["gpu_id"] for s in seen_by_each(server, "invalid")] == [0, 1]
    server.logged("ts_log.log", "Model invalid: deviceIds [0,4] is ignored")


def test_device_type_cpu(server, model):
    described = model("cpu")
    assert described["deviceType"] == "cpu"
    assert [(w["gpu"], w["gpuUsage"]) for w in described["workers"]] == [(False, "N/A")] * 2
    assert {s["gpu_id"] for s in seen_by_each(server, "cpu")} == {None}


def test_parallel_level_strides(server, model):
    described = model("strides")
    # Three were asked for, there are GPUs for two.
    assert (described["minWorkers"], described["maxWorkers"], described["parallelLevel"],
            described["parallelType"]) == (2, 2, 2, "custom")
    seen = seen_by_each(server, "strides")
    assert sorted(s["environment"]["CUDA_VISIBLE_DEVICES"] for s in seen) == ["0,1", "2,3"]
    # A process counts the GPUs that it sees.
    assert [s["gpu_id"] for s in seen] == [0, 0]
    scaled = server.manage("PUT", "/models/strides?min_worker=3&synchronous=true")
    assert_status(scaled, 200, "Workers scaled to 2 for model: strides")   # what is, not what was


def test_parallel_level_with_device_ids(server, model):
    model("picky")
    visible = [s["environment"]["CUDA_VISIBLE_DEVICES"] for s in seen_by_each(server, "picky")]
    assert sorted(visible) == ["2,1", "3,0"]


def test_parallel_level_beyond_the_gpus(server):
    response = server.register("huge.mar", initial_workers=1)
    assert response.status_code == 500
    server.logged("ts_log.log", "parallelLevel 5 needs more GPUs than the 4 there are")
    eventually(lambda: "huge" not in server.models(), "the registration is undone")


def test_a_restarted_worker_keeps_its_gpu(server, model):
    model("plain", initial_workers=3)
    before = {s["gpu_id"]: s["pid"] for s in seen_by_each(server, "plain")}
    os.kill(before[1], signal.SIGKILL)
    eventually(lambda: len(set(server.worker_pids("plain")) - {before[1]}) == 3, "it is back")
    after = {s["gpu_id"]: s["pid"] for s in seen_by_each(server, "plain")}
    assert set(after) == {0, 1, 2}
    assert {g for g in after if after[g] != before[g]} == {1}


# ---- what counts as a GPU ----

def start(serve, tmp_path, script=NVIDIA_SMI, name="nvidia-smi", variables=None, **settings):
    store = tmp_path / "store"
    make_mar(store, "plain", "device.py")
    environment = {**fake_tool(tmp_path / "bin", script, name), **(variables or {})}
    server = serve(store=store, environment=environment,
                   **{"default_workers_per_model": None, **settings})
    server.notes = tmp_path / "bin"
    return server, [s["gpu_id"] for s in seen_by_each(server, "plain")]


def test_metrics_of_gpus(serve, tmp_path):
    server, _ = start(serve, tmp_path)
    eventually(lambda: 'DeviceId="3"' in server.metrics_text())
    for i in range(4):
        labels = {"Level": "Host", "DeviceId": str(i)}
        assert server.metric("GPUUtilization", **labels) == 10 + i
        assert server.metric("GPUMemoryUsed", **labels) == 30 + i
        assert server.metric("GPUMemoryUtilization", **labels) == (30 + i) / 2


def test_the_console_has_figures_of_gpus(serve, tmp_path):
    server, _ = start(serve, tmp_path)
    gpus = eventually(lambda: (found := server.manage("GET", "/console/api/figures").json()["gpus"])
                      and "busy" in found[0] and found)
    mib = 1 << 20
    assert gpus == [{"id": i, "busy": (10 + i) / 100, "memoryUsed": (30 + i) * mib,
                     "memoryTotal": 200 * mib} for i in range(4)]


def test_no_metrics_of_gpus_where_the_system_is_not_measured(serve, tmp_path):
    server, _ = start(serve, tmp_path, disable_system_metrics=True)
    eventually(lambda: "utilization" in server.describe("plain")[0]["workers"][0]["gpuUsage"])
    assert "DeviceId" not in server.metrics_text()


def test_models_of_the_start_get_a_worker_per_gpu(serve, tmp_path):
    _, gpus = start(serve, tmp_path)
    assert gpus == [0, 1, 2, 3]


def test_number_of_gpu_is_a_bound(serve, tmp_path):
    _, gpus = start(serve, tmp_path, number_of_gpu=2)
    assert gpus == [0, 1]


def test_hidden_gpus_do_not_count(serve, tmp_path):
    server, gpus = start(serve, tmp_path, variables={"CUDA_VISIBLE_DEVICES": "3,GPU-22"})
    assert gpus == [0, 1]
    use = eventually(lambda: [w["gpuUsage"] for w in server.describe("plain")[0]["workers"]
                              if w["gpuUsage"] != "N/A"], "they are measured")
    assert sorted(u.partition(" utilization.memory")[0] for u in use) == [
        "gpuId::0 utilization.gpu::13 %", "gpuId::1 utilization.gpu::12 %"]


def test_a_list_is_enough(serve, tmp_path):
    script = '#!/bin/sh\n[ "$1" = -L ] && echo "GPU 0: Tesla T4 (UUID: GPU-1)"\n'
    server, gpus = start(serve, tmp_path, script)
    assert gpus == [0]
    assert [w["gpuUsage"] for w in server.describe("plain")[0]["workers"]] == ["N/A"]


def test_amd(serve, tmp_path):
    script = '#!/bin/sh\nprintf "device,Device Name\\ncard0,0x740c\\ncard1,0x740c\\n"\n'
    _, gpus = start(serve, tmp_path, script, "rocm-smi")
    assert gpus == [0, 1]


def test_a_tool_that_fails_later(serve, tmp_path):
    server, gpus = start(serve, tmp_path)
    eventually(lambda: "N/A" not in [g for g, _ in workers(server, "plain")], "they are measured")
    fake_tool(tmp_path / "bin", "#!/bin/sh\nexit 9\n")
    eventually(lambda: {g for g, _ in workers(server, "plain")} == {"N/A"}, "there are no figures")
    assert gpus == [s["gpu_id"] for s in seen_by_each(server, "plain")]


@pytest.mark.parametrize("script", ["exit 9", "echo index; echo nonsense; yes index"])
def test_a_broken_tool_means_no_gpu(serve, tmp_path, script):
    server, gpus = start(serve, tmp_path, f"#!/bin/sh\n{script}\n")
    assert set(gpus) == {None}
    assert server.describe("plain")[0]["deviceType"] == "cpu"


# ---- what handlers find in their environment ----

def test_ipex(serve, tmp_path):
    server, _ = start(serve, tmp_path, "#!/bin/sh\n", ipex_enable=True, ipex_gpu_enable=True)
    environment = seen_by_each(server, "plain")[0]["environment"]
    assert environment["TS_IPEX_ENABLE"] == environment["TS_IPEX_GPU_ENABLE"] == "true"


def test_hidden_variables_match_whole_names(serve, tmp_path):
    server, _ = start(serve, tmp_path, "#!/bin/sh\n", variables={"SECRET_OF_THE_SERVER": "1"},
                      blacklist_env_vars="SECRET|OTHER.*")
    environment = seen_by_each(server, "plain")[0]["environment"]
    assert environment["SECRET_OF_THE_SERVER"] == "1"
    assert environment["TS_IPEX_ENABLE"] == environment["TS_IPEX_GPU_ENABLE"] == "false"


# ---- processors ----

def test_workers_with_processors_of_their_own(serve, tmp_path):
    cpus = sorted(os.sched_getaffinity(0))
    server, _ = start(serve, tmp_path, "#!/bin/sh\n", default_workers_per_model=2,
                      cpu_launcher_enable=True,
                      variables={"SCONCE_CPU_LAUNCHER_ARGS": "--use_logical_core"})
    pids = server.worker_pids("plain")
    sets = [os.sched_getaffinity(pid) for pid in pids]
    assert all(len(s) == max(len(cpus) // 2, 1) for s in sets)
    assert not sets[0] & sets[1] or len(cpus) == 1
    assert {s["environment"]["OMP_NUM_THREADS"] for s in seen_by_each(server, "plain")} == {
        str(len(sets[0]))}
    # The next one in its place gets the same.
    os.kill(pids[1], signal.SIGKILL)
    eventually(lambda: len(set(server.worker_pids("plain")) - {pids[1]}) == 2, "it is back")
    assert [os.sched_getaffinity(pid) for pid in server.worker_pids("plain")] == sets


def test_processors_that_are_not_there(serve, tmp_path):
    make_mar(tmp_path / "store", "plain", "device.py")
    server = serve(store=tmp_path / "store", load_models=None, cpu_launcher_enable=True,
                   environment={**fake_tool(tmp_path / "bin"),
                                "SCONCE_CPU_LAUNCHER_ARGS": "--core_list 99999"})
    assert server.register("plain.mar", initial_workers=1).status_code == 500
    why = "cpu_launcher_args: none of these processors may be used"
    eventually(lambda: why in server.log("model_log.log"), why)
