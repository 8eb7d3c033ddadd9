# SPDX-License-Identifier: Apache-2.0
"""The images with packages of Python, run as KServe runs its runtimes: everything is read-only, and
the models are at /mnt/models."""

import os
import shutil
import subprocess

import pytest
import requests
import yaml

from deploy.kubernetes import ROOT
from deploy.podman import HOME
from e2e.server import eventually, free_ports

NAME = "mnist"
DEMO = ROOT / ".venv-demo/bin/python"
LOCKED = ["--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp", "--tmpfs", f"{HOME}/tmp",
          "--cap-drop=all", "--security-opt=no-new-privileges", "--memory", "2g"]
# Its input twice over; traced, so that types and sizes are known.
TORCHSCRIPT = """
import sys, torch
torch.jit.trace(lambda x: x + x, torch.ones(1, 3)).save(sys.argv[1])
"""


class Runtime:
    """The container of a ClusterServingRuntime of deploy/kserve, on ports of its own."""

    def __init__(self, podman, name, models):
        file = ROOT / "deploy/kserve" / f"{name}.yaml"
        [what] = yaml.safe_load(file.read_text())["spec"]["containers"]
        self.port, metrics = free_ports(2)
        told = {e["name"]: e["value"].replace("{{.Name}}", NAME) for e in what["env"]}
        told.update(SCONCE_INFERENCE_ADDRESS=f"http://127.0.0.1:{self.port}",
                    SCONCE_METRICS_ADDRESS=f"http://127.0.0.1:{metrics}")
        for path in (models, *models.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        self.container = podman.run(f"localhost/{what['image']}", *what["args"], options=[
            *LOCKED, "--volume", f"{models}:/mnt/models:ro",
            *(f"--env={name}={value}" for name, value in told.items())])
        eventually(self.is_ready, self.container.logs, timeout=120)

    def is_ready(self):
        assert self.container.running(), self.container.logs()
        try:
            return requests.get(self.url("/readyz"), timeout=20).ok
        except requests.ConnectionError:
            return False

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def infer(self, *inputs):
        answer = requests.post(self.url(f"/v2/models/{NAME}/infer"), timeout=60,
                               json={"inputs": list(inputs)})
        assert answer.ok, answer.text + self.container.logs()
        return answer.json()["outputs"]


@pytest.fixture
def runtime(podman):
    made = []

    def start(name, models):
        made.append(Runtime(podman, name, models))
        return made[-1]
    yield start
    for one in made:
        one.container.remove()


@pytest.fixture
def models(tmp_path):
    tmp_path.chmod(0o755)
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def tensor(name, datatype, *shape):
    size = 1
    for n in shape:
        size *= n
    return {"name": name, "datatype": datatype, "shape": list(shape), "data": [0] * size}


def test_onnx(podman, runtime, models):
    """A model of a package that brings one."""
    found = sorted((ROOT / ".venv-examples/lib").rglob("silero_vad/data/silero_vad.onnx"))
    assert found, "an environment is missing: tools/setup.sh test"
    shutil.copy(found[0], models / "model.onnx")
    podman.build("onnx")
    one = runtime("onnx", models)
    answer = one.infer(tensor("input", "FP32", 1, 512), tensor("state", "FP32", 2, 1, 128),
                       {"name": "sr", "datatype": "INT64", "shape": [], "data": [16000]})
    assert 0 <= answer[0]["data"][0] < 0.5
    assert one.container.stop()[0] == 0


def test_what_pip_is_run_for_is_made_where_it_runs(podman):
    machine = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True,
                             text=True).stdout.strip()
    other = "arm64" if machine == "amd64" else "amd64"
    with pytest.raises(AssertionError, match=f"made on a machine of {other}"):
        podman.build("onnx", ARCH=other)


def test_torchscript(podman, runtime, models):
    """Without a compiler at work: nothing can be written, so what the engine needs is there."""
    if not os.environ.get("SCONCE_TEST_TORCH_IMAGE"):
        pytest.skip("sconce:torch is some GB to fetch and to keep: SCONCE_TEST_TORCH_IMAGE=1")
    subprocess.run([DEMO, "-c", TORCHSCRIPT, models / "model.pt"], check=True)
    podman.build("torch")
    one = runtime("torchscript", models)
    answer = one.infer({"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]})
    assert answer[0]["data"] == [2, 4, 6]
    assert "Building what PyTorch" not in one.container.logs()
    assert one.container.stop()[0] == 0
