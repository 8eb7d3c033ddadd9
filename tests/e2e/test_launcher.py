# SPDX-License-Identifier: Apache-2.0
"""Scripts that start, use and stop a server by ts.launcher, and `python -m ts.model_server`."""

import json
import os
import subprocess

import pytest

from e2e.server import BIN, PYTHON, REPOSITORY, eventually, marked_processes
from e2e.shell import Shell

SCRIPT = """
import json, sys
from ts import launcher

launcher._MANAGEMENT = sys.argv[1]
lines = launcher.start(model_store="store", snapshot_file="config.properties",
                       no_config_snapshots=True, disable_token=True, enable_model_api=True)
answers = [launcher.register_model("echo", "echo.mar") for _ in range(2)]
launcher.stop()
while lines.get(timeout=60) is not None:
    pass
print(json.dumps([(a.status_code, a.ok, a.json()) for a in answers]))
"""


@pytest.fixture
def python(tmp_path):
    """python(*arguments): runs it with our commands and packages; returns its output."""
    shell = Shell(tmp_path)

    def run(*arguments):
        environment = {**shell.environment, "PATH": f"{BIN}:{os.environ['PATH']}",
                       "PYTHONPATH": str(REPOSITORY / "python")}
        return subprocess.run([PYTHON, *arguments], cwd=shell.root, env=environment, text=True,
                              stdout=subprocess.PIPE, check=True, timeout=120).stdout

    run.shell = shell
    yield run
    shell.clean()


def test_launcher(python):
    output = python("-c", SCRIPT, f"http://127.0.0.1:{python.shell.management}")
    assert "Model server started." in output
    first, second = json.loads(output.splitlines()[-1])
    assert first[:2] == [200, True] and "1 initial workers" in first[2]["status"]
    assert second[:2] == [409, False] and second[2]["type"] == "ConflictStatusException"
    eventually(lambda: not marked_processes(python.shell.mark), "everything has ended")


def test_model_server(python):
    assert python("-m", "ts.model_server", "--version").startswith("TorchServe Version is ")
