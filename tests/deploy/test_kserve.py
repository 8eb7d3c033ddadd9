# SPDX-License-Identifier: Apache-2.0
"""KServe's runtimes: ours, and the one that KServe ships for TorchServe with our image in it. Their
arguments and variables are run as KServe fills them in."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.kubernetes import ROOT, complaints, python_of_tests, run, tool
from docs.alone import APART, why_not_alone
from e2e.archives import make_mar
from e2e.server import BIN

RUNTIMES = ROOT / "deploy/kserve"
ENGINES = ROOT / ".venv-engines/bin/python"
NAME = "mnist"

# As kserve/config/runtimes has it for TorchServe.
THEIRS = {
    "args": ["torchserve", "--start", "--model-store=/mnt/models/model-store",
             "--ts-config=/mnt/models/config/config.properties"],
    "env": [{"name": "TS_SERVICE_ENVELOPE", "value": "{{.Labels.serviceEnvelope}}"}]}
# As KServe's documents have it: the wrapper of TorchServe listens at 8080.
CONFIG = """\
inference_address=http://0.0.0.0:8085
management_address=http://0.0.0.0:8085
metrics_address=http://0.0.0.0:8082
grpc_inference_port=7070
grpc_management_port=7071
enable_metrics_api=true
metrics_format=prometheus
number_of_netty_threads=4
job_queue_size=10
enable_envvars_config=true
install_py_dep_per_model=false
NUM_WORKERS=1
model_store=/mnt/models/model-store
model_snapshot={"name":"startup.cfg","modelCount":1,"models":{"mnist":{"1.0":{"defaultVersion":\
true,"marName":"mnist.mar","minWorkers":1,"maxWorkers":5,"batchSize":1,"maxBatchDelay":5000,\
"responseTimeout":120}}}}
"""
HANDLER = """
def handle(data, context):
    if data is None:
        return None
    if isinstance(data[0], dict) and "data" in data[0]:
        return [[2 * x for x in tensor["data"]] for tensor in data]
    return [row + 1 for row in data]
"""
TENSOR = {"name": "in", "shape": [3], "datatype": "INT64", "data": [1, 2, 3]}


@pytest.fixture(scope="module", autouse=True)
def apart():
    reason = why_not_alone()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """What storageUri leads to."""
    folder = tmp_path_factory.mktemp("models")
    make_mar(folder / "model-store", NAME, HANDLER)
    (folder / "config").mkdir()
    (folder / "config/config.properties").write_text(CONFIG)
    return folder


def ours(name):
    return yaml.safe_load((RUNTIMES / f"{name}.yaml").read_text())


def container(name):
    return ours(name)["spec"]["containers"][0]


def environment(what, folder, protocol, variables):
    """As KServe fills in a container of a runtime."""
    labels = {"v1": "kserve", "v2": "kservev2", "grpc-v2": "kservev2"}
    filled = {e["name"]: e["value"].replace("{{.Labels.serviceEnvelope}}", labels[protocol])
              .replace("{{.Name}}", NAME) for e in what["env"]}
    return {"PATH": f"{BIN}:{os.environ['PATH']}", "TMPDIR": str(folder), "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1", "SCONCE_PYTHON": python_of_tests(), **filled,
            **variables}


def served(models, folder, what, requests, protocol="v1", args=(), **variables):
    """What was answered, when nothing else went wrong. --foreground is the entry point's."""
    words = [*what["args"], *args]
    command = [str(BIN / words[0]), *(["--foreground"] if words[0] == "torchserve" else []),
               *words[1:]]
    (folder / "work").mkdir()
    description = {"models": str(models), "work": str(folder / "work"), "command": command,
                   "environment": environment(what, folder, protocol, variables),
                   "requests": requests}
    done = subprocess.run([*APART, python_of_tests(), Path(__file__).with_name("kserve_pod.py")],
                          input=json.dumps(description), capture_output=True, text=True,
                          timeout=150)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["code"] == 0, result["log"]
    return result


def body(answer):
    assert answer[0] == 200, answer
    return json.loads(answer[1])


PREDICT_V1 = {"path": f"/v1/models/{NAME}:predict", "body": {"instances": [1, 2, 3]}}
PREDICT_V2 = {"path": f"/v2/models/{NAME}/infer", "body": {"id": "own", "inputs": [TENSOR]}}


@pytest.mark.parametrize("args, variables", [
    # As KServe's examples start it, and as a cluster's administrator may.
    (["--disable-token-auth", "--enable-model-api"], {}),
    ([], {"TS_DISABLE_TOKEN_AUTHORIZATION": "true", "TS_NUM_WORKERS": "2",
          "TS_DEFAULT_WORKERS_PER_MODEL": "1"}),
])
def test_the_runtime_that_kserve_ships_v1(models, tmp_path, args, variables):
    result = served(models, tmp_path, THEIRS, [
        PREDICT_V1, {"path": f"/v1/models/{NAME}"}, {"path": "/v1/models"},
        {"path": "/metrics", "port": 8082}, {"path": "/models", "port": 8085}],
        args=args, PROTOCOL_VERSION="v1", **variables)
    predicted, model, listed, metrics, managed = result["answers"]
    assert body(predicted) == {"predictions": [2, 3, 4]}
    assert body(model) == {"name": NAME, "ready": True}
    assert body(listed) == {"models": [NAME]}
    assert "sconce_workers_ready{" in metrics[1]
    assert body(managed)["models"][0]["modelName"] == NAME
    assert "KServe (PROTOCOL_VERSION=v1): predictions are at http://0.0.0.0:8080" in result["log"]


def test_the_runtime_that_kserve_ships_v2(models, tmp_path):
    result = served(models, tmp_path, THEIRS, [
        PREDICT_V2, {"path": "/v2/health/live"}, {"path": "/v2/health/ready"},
        {"path": f"/v2/models/{NAME}/ready"}, {"path": f"/v2/models/{NAME}"}],
        protocol="v2", args=["--disable-token-auth"], PROTOCOL_VERSION="v2")
    assert body(result["answers"][0])["outputs"] == [
        {"name": "in", "datatype": "INT64", "data": [2, 4, 6], "shape": [3]}]
    assert [answer[0] for answer in result["answers"]] == [200] * 5, result["answers"]


def test_keys_are_wanted_unless_somebody_says_otherwise(models, tmp_path):
    """As TorchServe 0.12 behind KServe: its variables open nothing."""
    result = served(models, tmp_path, THEIRS, [PREDICT_V1, {"path": "/livez"}],
                    PROTOCOL_VERSION="v1")
    assert [answer[0] for answer in result["answers"]] == [400, 200]
    assert "Token Authorization failed" in result["answers"][0][1]


def test_without_kserve_the_file_counts(models, tmp_path):
    """PROTOCOL_VERSION alone is anybody's variable."""
    without = {**THEIRS, "env": []}
    result = served(models, tmp_path, without, [
        {"path": "/livez", "port": 8085}, {"path": "/livez"},
        {"path": "/v1/models", "port": 8085}], args=["--disable-token-auth"], PROTOCOL_VERSION="v1",
        # kserve_pod.py waits at 8080.
        SCONCE_METRICS_ADDRESS="http://127.0.0.1:8080")
    assert "KServe (" not in result["log"]
    assert [answer[0] for answer in result["answers"]] == [200, 200, 200]


def test_grpc_is_told_to_be_missing(models, tmp_path):
    result = served(models, tmp_path, THEIRS, [{"path": "/readyz"}], protocol="grpc-v2",
                    args=["--disable-token-auth"], PROTOCOL_VERSION="grpc-v2")
    assert result["answers"][0][0] == 200
    assert "warning: gRPC is not served by this version" in result["log"]


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_our_runtime_for_pytorch(models, tmp_path, protocol):
    request = PREDICT_V1 if protocol == "v1" else PREDICT_V2
    result = served(models, tmp_path, container("pytorch"), [request], protocol=protocol,
                    PROTOCOL_VERSION=protocol)
    assert result["answers"][0][0] == 200, result["answers"]
    assert not (tmp_path / "work/logs").exists()


def test_our_runtime_for_onnx(tmp_path):
    """A model of a package that brings one, by the name of the InferenceService."""
    found = [path for path in (ROOT / ".venv-examples/lib").rglob("silero_vad/data/*.onnx")
             if path.name == "silero_vad.onnx"]
    assert ENGINES.exists() and found, "environments are missing: tools/setup.sh test"
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(found[0], folder / "model.onnx")
    inputs = [{"name": "input", "shape": [1, 512], "datatype": "FP32", "data": [0.0] * 512},
              {"name": "state", "shape": [2, 1, 128], "datatype": "FP32", "data": [0.0] * 256},
              {"name": "sr", "shape": [], "datatype": "INT64", "data": [16000]}]
    result = served(folder, tmp_path, container("onnx"), [
        {"path": f"/v2/models/{NAME}/infer", "body": {"inputs": inputs}},
        {"path": f"/v2/models/{NAME}/ready"}, {"path": f"/v1/models/{NAME}"}],
        SCONCE_PYTHON=str(ENGINES))
    answer = body(result["answers"][0])
    assert answer["model_name"] == NAME
    assert 0 <= answer["outputs"][0]["data"][0] < 0.5
    assert [a[0] for a in result["answers"][1:]] == [200, 200]


@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_the_variables_of_our_runtimes_are_settings(tmp_path, name):
    variables = environment(container(name), tmp_path, "v2", {})
    done = run(["env", *(f"{k}={v}" for k, v in variables.items()), BIN / "sconce", "settings",
                "--effective"], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    given = [line.split()[0].upper() for line in done.stdout.splitlines() if "SCONCE_" in line]
    wanted = [e["name"].removeprefix("SCONCE_") for e in container(name)["env"]]
    assert sorted(set(given) - {"PYTHON"}) == sorted(wanted)


# ---- as objects ----

def test_kubernetes_takes_them():
    """Their containers as those of a Pod; the rest by what KServe's documents say."""
    done = run([tool("kubectl"), "kustomize", RUNTIMES])
    assert done.returncode == 0, done.stderr
    runtimes = list(yaml.safe_load_all(done.stdout))
    assert [r["metadata"]["name"] for r in runtimes] == \
        ["sconce-onnx", "sconce-pytorch", "sconce-torchscript"]
    pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": r["metadata"]["name"]},
             "spec": {k: r["spec"][k] for k in ("containers", "volumes")}} for r in runtimes]
    assert complaints(runtimes + pods, "1.33") == []


def test_ours_keeps_the_arguments_of_theirs():
    args = container("pytorch")["args"]
    assert args[:len(THEIRS["args"])] == THEIRS["args"]
    assert container("pytorch")["env"][0] == THEIRS["env"][0]
    assert ours("pytorch")["metadata"]["annotations"] == {
        "serving.kserve.io/server-type": "torchserve"}
