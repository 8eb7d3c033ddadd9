# SPDX-License-Identifier: Apache-2.0
"""Which processors a worker gets by cpu_launcher_args."""

import os

import pytest

from sconce import cpu_launcher as launcher

# Two nodes with two cores each, whose second processors come last.
NODES = [[[0, 4], [1, 5]], [[2, 6], [3, 7]]]


@pytest.mark.parametrize("text,workers,each", [
    ("", 1, [[0, 1, 2, 3]]),
    ("", 2, [[0, 1], [2, 3]]),
    ("", 3, [[0], [1], [2]]),
    ("", 6, [[0], [1], [2], [3], [0], [1]]),
    ("--use_logical_core", 2, [[0, 1, 4, 5], [2, 3, 6, 7]]),
    ("--use-logical-core --ncores-per-instance 1", 2, [[0], [1]]),
    ("--ncores_per_instance 2", 3, [[0, 1], [2, 3], [0, 1]]),
    ("--ncores_per_instance 3", 2, [[0, 1, 2], [0, 1, 2]]),
    ("--ninstances 4", 2, [[0], [1]]),
    ("--ninstances 4 --rank 3", 1, [[3]]),
    ("--node_id 1", 2, [[2], [3]]),
    ("--node_id=1 --use_logical_core", 1, [[2, 3, 6, 7]]),
    ("--core_list 1,5-6", 1, [[1, 5, 6]]),
    ("--core-list=0-3", 1, [[0, 1, 2, 3]]),
    ("--core_list '1, 6'", 2, [[1], [6]]),
    ("--throughput_mode", 3, [[0, 1], [2, 3], [0, 1]]),
    ("--latency_mode", 2, [[0, 1, 2, 3], [0, 1, 2, 3]]),
    ("--use_logical_core --skip_cross_node_cores --ncores_per_instance 3", 2,
     [[0, 1, 4], [2, 3, 6]]),
    ("--disable_numactl --enable_jemalloc --multi_instance", 1, [[0, 1, 2, 3]]),
])
def test_choose(text, workers, each):
    options = launcher.parse(text)
    assert [launcher.choose(options, NODES, workers, w) for w in range(workers)] == each


@pytest.mark.parametrize("text,why", [
    ("--node_id 2", "there is no node 2"), ("--core_list 9", "none of these"),
    ("--ncores_per_instance 5", "5 processors for one worker are more than there are")])
def test_what_cannot_be(text, why):
    with pytest.raises(ValueError, match=why):
        launcher.choose(launcher.parse(text), NODES, 1, 0)


def test_bad_and_unknown_options(capsys):
    with pytest.raises(SystemExit):
        launcher.parse("--ninstances many")
    launcher.parse("--ninstances 2 --log_path /tmp --no_python")
    assert "without effect: --log_path" in capsys.readouterr().err


def test_a_quotation_without_end_is_told():
    with pytest.raises(SystemExit, match="cpu_launcher_args: No closing quotation"):
        launcher.main(["--options", "'--rank 1", "--workers", "1", "--worker", "0", "--"])


def test_topology(tmp_path):
    def put(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text + "\n")

    assert launcher.topology({0, 2}, str(tmp_path)) == [[[0], [2]]]
    put("node/node0/cpulist", "0-1,4-5")
    put("node/node1/cpulist", "2-3,6-7")
    for cpu in range(8):
        put(f"cpu/cpu{cpu}/topology/thread_siblings_list", f"{cpu % 4},{cpu % 4 + 4}")
    assert launcher.topology(range(8), str(tmp_path)) == NODES
    assert launcher.topology({1, 3, 5}, str(tmp_path)) == [[[1, 5]], [[3]]]
    assert launcher.topology(os.sched_getaffinity(0))


def test_environment(tmp_path, monkeypatch):
    (tmp_path / "libjemalloc.so.2").touch()
    (tmp_path / "libiomp5.so").touch()
    monkeypatch.setattr(launcher, "_LIBRARIES", (str(tmp_path),))
    environment = {"MKL_NUM_THREADS": "7", "LD_PRELOAD": "mine.so"}
    launcher.prepare(launcher.parse(""), [0, 1], environment)
    assert environment == {
        "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "7", "OPENBLAS_NUM_THREADS": "2",
        "KMP_AFFINITY": "granularity=fine,compact,1,0", "KMP_BLOCKTIME": "1",
        "LD_PRELOAD": f"{tmp_path}/libiomp5.so:{tmp_path}/libjemalloc.so.2:mine.so"}
    environment = {}
    launcher.prepare(launcher.parse("--disable_iomp --use_default_allocator"), [0], environment)
    assert "LD_PRELOAD" not in environment
