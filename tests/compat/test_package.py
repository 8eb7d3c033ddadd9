# SPDX-License-Identifier: Apache-2.0
"""The Python packages beside TorchServe's: the same calls, the same values, errors and lines."""

import json
import os
import subprocess

import pytest

from compat.servers import VENV
from e2e.server import BIN, REPOSITORY

CALLS = REPOSITORY / "tests" / "compat" / "package_calls.py"


def outcomes(folder, python_path):
    if not (VENV / "bin" / "torchserve").exists():
        pytest.skip("TorchServe is not installed: tools/setup.sh compat")
    (folder / "work-folder").mkdir(parents=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment.update(PYTHONPATH=python_path, PYTHONDONTWRITEBYTECODE="1",
                       PATH=f"{VENV / 'bin'}:{BIN}:/usr/bin:/bin", SOURCE_DATE_EPOCH="0")
    done = subprocess.run([VENV / "bin" / "python", CALLS, "work-folder"], env=environment,
                          cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.pop("case"): line for line in lines}


def test_same_calls(tmp_path):
    theirs = outcomes(tmp_path / "theirs", "")
    ours = outcomes(tmp_path / "ours", str(REPOSITORY / "python"))
    assert list(theirs) == list(ours) and len(theirs) > 300
    different = {case: (theirs[case], ours[case]) for case in theirs if theirs[case] != ours[case]}
    assert not different, json.dumps(different, indent=1)
