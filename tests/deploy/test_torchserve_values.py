# SPDX-License-Identifier: Apache-2.0
"""Values of TorchServe's chart as values of ours."""

import subprocess

import pytest
import yaml

from deploy.kubernetes import (ROOT, complaints, one, pod, python_of_tests, refused, render,
                               rendering, workload)

TOOL = ROOT / "deploy/tools/torchserve_values.py"
MOUNT = "/home/model-server/shared"     # tidy: allow machine: a place in the image

# As the chart in pytorch/serve has them.
THEIRS = f"""
torchserve_image: pytorch/torchserve:latest-gpu
namespace: torchserve
torchserve:
  management_port: 8081
  inference_port: 8080
  metrics_port: 8082
  grpc_inference_port: 7070
  pvd_mount: {MOUNT}/
  n_gpu: 4
  n_cpu: 16
  memory_limit: 32Gi
deployment:
  replicas: 2
persistentVolume:
  name: efs-claim
"""

CONFIG = """\
# of the claim
inference_address=http://0.0.0.0:8080
management_address=http://0.0.0.0:9081
NUM_WORKERS=1
nobody.knows=1
number_of_gpu=1
job_queue_size=10
enable_metrics_api: true
token_expiration_min=30
load_models=mnist.mar,\\
    cat.mar
model_store=/models/model-store
model_snapshot={"name":"startup.cfg","modelCount":1,"models":{"mnist":{"1.0":{"minWorkers":1}}}}
disable_token_authorization=true
"""


def turned(folder, values, config=None):
    """(our values, what was told) of texts."""
    command = [python_of_tests(), TOOL, folder / "values.yaml"]
    (folder / "values.yaml").write_bytes(values if isinstance(values, bytes) else values.encode())
    if config is not None:
        (folder / "config.properties").write_text(config)
        command += ["--config", folder / "config.properties"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return (yaml.safe_load(done.stdout) if done.returncode == 0 else None), done.stderr


def test_the_chart_as_it_comes(tmp_path):
    values, told = turned(tmp_path, THEIRS)
    assert values == {
        "fullnameOverride": "torchserve", "service": {"together": True},
        "modelStore": {"kind": "pvc", "path": f"{MOUNT}/model-store",
                       "pvc": {"existingClaim": "efs-claim", "subPath": "model-store"}},
        "image": {"tag": "torch"}, "gpu": {"count": 4},
        "resources": {"limits": {"cpu": "16", "memory": "32Gi"},
                      "requests": {"cpu": "16", "memory": "32Gi"}},
        "workload": {"replicas": 2}}
    assert [line.partition(":")[0] for line in told.splitlines()] == [
        "torchserve_image", "namespace", "torchserve.grpc_inference_port", "--config"]
    objects = render(values)
    assert complaints(objects, "1.33") == []
    ports = one(objects, "Service", "torchserve")["spec"]["ports"]
    assert [p["port"] for p in ports] == [8080, 8081, 8082]
    assert workload(objects)["spec"]["replicas"] == 2
    assert pod(objects)["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 4
    mounts = {m["mountPath"]: m for m in pod(objects)["containers"][0]["volumeMounts"]}
    assert mounts[f"{MOUNT}/model-store"]["subPath"] == "model-store"


def test_with_the_properties_of_the_claim(tmp_path):
    values, told = turned(tmp_path, THEIRS, CONFIG)
    assert values["config"] == {
        "NUM_WORKERS": "1", "number_of_gpu": 1, "job_queue_size": 10, "enable_metrics_api": True,
        "token_expiration_min": 30.0, "load_models": "mnist.mar,cat.mar",
        "model_snapshot": '{"name":"startup.cfg","modelCount":1,"models":{"mnist":{"1.0":'
                          '{"minWorkers":1}}}}'}
    assert values["auth"] == {"enabled": False}
    assert values["ports"] == {"management": 9081}
    assert "nobody.knows: is no setting of sconce" in told
    assert "model_store: is made from other values" in told
    assert "--config" not in told
    assert rendering(values).returncode == 0


def test_ports_and_older_spellings(tmp_path):
    values, told = turned(tmp_path, """
torchserve: {inference_port: 9080, memory_request: 1Gi, memory_limit: 4Gi, n_gpu: 0,
             pvd_mount: /data}
persitant_volume: {size: 1Gi}
securityContext: {fsGroup: 1}
torchserve_image: registry.example/mine:3
""")
    assert values["ports"] == {"inference": 9080}
    assert values["service"] == {"together": True, "inference": {"port": 9080}}
    assert values["resources"] == {"requests": {"memory": "1Gi"}, "limits": {"memory": "4Gi"}}
    assert values["modelStore"]["path"] == "/data/model-store"
    assert "gpu" not in values
    assert "persitant_volume.size: the claim is there" in told
    assert "securityContext: is no value of TorchServe's chart" in told
    assert "torchserve_image: registry.example/mine:3 is an image of your own" in told
    assert rendering(values).returncode == 0


def test_an_empty_file_is_the_charts_defaults(tmp_path):
    values, _ = turned(tmp_path, "")
    assert values["modelStore"]["pvc"]["existingClaim"] == "efs-claim"
    assert rendering(values).returncode == 0


@pytest.mark.parametrize("values, said", [
    ("- a list", "the file has to be a map"),
    ("torchserve: 5", "torchserve has to be a map, not 5"),
    ("torchserve: {n_gpu: many}", "torchserve.n_gpu has to be a number of 0 to 64, not 'many'"),
    ("torchserve: {n_gpu: -1}", "torchserve.n_gpu has to be"),
    ("torchserve: {inference_port: 70000}", "torchserve.inference_port has to be a number of 1 to"),
    ("torchserve: {memory_limit: 4 GB}", "torchserve.memory_limit has to be an amount"),
    ("torchserve: {n_cpu: true}", "torchserve.n_cpu has to be"),
    ("torchserve: {pvd_mount: shared}", "torchserve.pvd_mount has to be an absolute path"),
    ("torchserve_image: [a]", "torchserve_image has to be the name of an image"),
    ("persistentVolume: {name: Not A Claim}", "persistentVolume.name has to be"),
    ("deployment: {replicas: 1.5}", "deployment.replicas has to be"),
    ("a: [", "is no YAML"),
    ("!!python/object:os.system {}", "is no YAML"),
    (b"\xff\xfe", "is no text"),
    ("#" * 2_000_000, "is longer than a MiB"),
    ("[" * 100_000, "is no YAML"),
])
def test_garbage(tmp_path, values, said):
    ours, told = turned(tmp_path, values)
    assert ours is None and said in told, told
    assert told.startswith("torchserve_values.py: ") and told.count("\n") <= 6


def test_properties_that_are_none(tmp_path):
    ours, told = turned(tmp_path, THEIRS, "job_queue_size=5\n=x\n")
    assert ours is None and "config.properties: line 2: '=x' is no key=value" in told


def test_a_value_that_sconce_would_refuse_is_refused_by_the_schema(tmp_path):
    values, _ = turned(tmp_path, THEIRS, "job_queue_size=lots\n")
    assert "at '/config/job_queue_size'" in refused(values)
