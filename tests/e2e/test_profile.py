# SPDX-License-Identifier: Apache-2.0
"""`sconce profile`: finds the worker, and has py-spy sample it."""

import os
import subprocess
import sys

import pytest

from e2e.archives import make_mar
from e2e.server import BIN

# It tells what it was asked, as the graph.
FAKE = """#!/bin/sh
printf '%s\\n' "$@" > "$PWD/asked"
"""


@pytest.fixture(scope="module")
def server(module_serve):
    s = module_serve(load_models=None)
    s.register(make_mar(s.store, "echo", "echo.py").name, initial_workers=1)
    s.register(make_mar(s.store, "idle", "echo.py").name, initial_workers=0)
    return s


@pytest.fixture
def profile(server, tmp_path):
    def run(*arguments, path=str(tmp_path)):
        done = subprocess.run([str(BIN / "sconce"), "profile", *arguments, "--address",
                               f"http://127.0.0.1:{server.management}"], cwd=tmp_path, text=True,
                              capture_output=True, timeout=60, check=False,
                              env={**os.environ, "PATH": path})
        return done.returncode, done.stderr
    return run


def test_what_is_sampled(profile, server, tmp_path):
    (tmp_path / "py-spy").write_text(FAKE)
    (tmp_path / "py-spy").chmod(0o755)
    pid, = server.worker_pids("echo")
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert profile("echo", "--seconds", "3", "--native", path=path) == (
        0, f"Sampling process {pid} of echo for 3 s into echo.svg\n")
    assert (tmp_path / "asked").read_text().split() == [
        "record", "--pid", str(pid), "--duration", "3", "--rate", "100", "--format", "flamegraph",
        "--output", "echo.svg", "--native"]
    assert profile("echo:1.0", "-o", "mine.svg", path=path)[0] == 0
    assert (tmp_path / "asked").read_text().split()[-1] == "mine.svg"


def test_without_py_spy(profile):
    code, complaints = profile("echo")
    assert code == 1
    assert complaints.endswith("sconce profile: error: py-spy is not installed: "
                               "pip install py-spy\n")


def test_nothing_to_sample(profile):
    assert profile("idle") == (1, "sconce profile: error: idle has no worker that is ready\n")
    code, complaints = profile("nothing")
    assert (code, complaints.splitlines()[0]) == (
        1, "sconce profile: error: Model not found: nothing")


def test_a_flame_graph(profile, tmp_path):
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    code, complaints = profile("echo", "--seconds", "1", "--idle", path=path)
    assert code == 0, complaints
    assert "<svg" in (tmp_path / "echo.svg").read_text()
