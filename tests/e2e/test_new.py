# SPDX-License-Identifier: Apache-2.0
"""`sconce new`: every template is made, tested by its own test, and served."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.server import BIN

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = {"image": "PIL", "text": None, "tabular": None, "tensor": "numpy", "stream": None,
             "batch": None}


def new(folder, *arguments):
    done = subprocess.run([str(BIN / "sconce"), "new", *arguments], cwd=folder, text=True,
                          capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def run_tests(folder, *arguments):
    env = {**os.environ, "SCONCE_BIN_DIR": str(BIN), "PYTHONDONTWRITEBYTECODE": "1",
           "PYTHONPATH": os.pathsep.join([str(ROOT / "python"), *filter(None, [
               os.environ.get("PYTHONPATH")])])}
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           "--rootdir", str(folder), *arguments], cwd=folder, env=env, text=True,
                          capture_output=True, timeout=240, check=False)


@pytest.mark.parametrize("template", [
    pytest.param(t, marks=pytest.mark.torch if t == "tensor" else ()) for t in TEMPLATES])
def test_template(template, tmp_path):
    """Its test runs the handler in process and behind a server."""
    if TEMPLATES[template]:
        pytest.importorskip(TEMPLATES[template])
    code, output, complaints = new(tmp_path, "mine", "--template", template)
    assert (code, complaints) == (0, "")
    assert output == ("Made mine with handler.py, model-config.yaml and test_handler.py. Next:\n"
                      "  sconce dev mine\n  sconce call mine FILE\n  pytest mine\n")
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == [
        "handler.py", "model-config.yaml", "test_handler.py"]
    assert "SPDX" not in (tmp_path / "mine/handler.py").read_text()
    done = run_tests(tmp_path, "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
    # The same can be packed.
    subprocess.run([str(BIN / "torch-model-archiver"), "--model-name", "mine", "--version", "1.0",
                    "--handler", "mine/handler.py", "--config-file", "mine/model-config.yaml"],
                   cwd=tmp_path, check=True, timeout=60)
    (tmp_path / "test_packed.py").write_text(
        (tmp_path / "mine/test_handler.py").read_text().replace('(".")', '("mine.mar")'))
    done = run_tests(tmp_path, "test_packed.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_refusals(tmp_path):
    (tmp_path / "there").mkdir()
    assert new(tmp_path, "there") == (1, "", "sconce new: error: there: File exists\n")
    code, _, complaints = new(tmp_path, "x", "--template", "nonsense")
    assert code == 2
    assert "invalid choice: 'nonsense' (choose from 'image', 'text', 'tabular'" in complaints
    assert not (tmp_path / "x").exists()
