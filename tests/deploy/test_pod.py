# SPDX-License-Identifier: Apache-2.0
"""The Pod of the chart, run by `podman kube play`: its models fetched, asked, drained.

What podman knows nothing of is taken out first: probes (it would run curl in the container, so the
test asks what they ask), the pause before the end, and where a Pod is to be placed."""

import base64
import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest
import requests
import yaml

from deploy.kubernetes import one, pod, render
from e2e.client import Raw
from e2e.file_server import FileServer
from e2e.gate import background
from e2e.server import eventually, free_ports

VECTOR = "[1, 2, 3]"
CLAIM = "shop-sconce-models"
# What ends with the Pod in a cluster.
VOLUMES = ("work", "tmp", "shop-sconce", "shop-sconce-keys")
NOT_OF_PODMAN = ("affinity", "topologySpreadConstraints", "serviceAccountName",
                 "automountServiceAccountToken", "enableServiceLinks")


def an_archive(name="echo"):
    """A model that the engine `echo` serves: no Python is in the image."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("m.echo", "x")
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(
            {"runtime": "native", "model": {"modelName": name, "serializedFile": "m.echo"}}))
    return out.getvalue()


@pytest.fixture(scope="module")
def files():
    with FileServer({"echo.mar": an_archive()}) as server:
        yield server


class Played:
    """The objects of a release, of which podman runs the Pod on the machine's network."""

    def __init__(self, podman, folder, files, checksum=None):
        self.podman = podman
        self.new_claim = podman("volume", "exists", CLAIM, check=False).returncode != 0
        self.inference, self.management, self.metrics = free_ports(3)
        self.file = folder / "pod.yaml"
        data = files.files["echo.mar"]
        objects = render({
            "image": {"repository": "localhost/sconce", "tag": "core"},
            "ports": {"inference": self.inference, "management": self.management,
                      "metrics": self.metrics},
            "config": {"default_workers_per_model": 1, "drain_timeout": 20},
            "modelStore": {"kind": "fetch", "fetch": {"into": "pvc", "models": [
                {"name": "echo.mar", "url": files.url("plain/echo.mar"),
                 "sha256": checksum or hashlib.sha256(data).hexdigest()}]}}})
        self.keys = json.loads(base64.b64decode(one(objects, "Secret")["data"]["keys.json"]))
        self.file.write_text(yaml.safe_dump_all(self.documents(objects), sort_keys=False))

    def documents(self, objects):
        spec = {k: v for k, v in pod(objects).items() if k not in NOT_OF_PODMAN}
        for container in spec["containers"]:
            for key in ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "ports"):
                container.pop(key)
        for volume in spec["volumes"]:
            # It writes what is in a Secret as it is encoded, so the same comes from a ConfigMap.
            if "secret" in volume:
                volume["configMap"] = {"name": volume.pop("secret")["secretName"]}
        if self.new_claim:
            yield one(objects, "PersistentVolumeClaim")
        yield one(objects, "ConfigMap", "-sconce")
        secret = one(objects, "Secret")
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": secret["metadata"],
               "data": {name: base64.b64decode(text).decode()
                        for name, text in secret["data"].items()}}
        yield {"apiVersion": "v1", "kind": "Pod",
               "metadata": {"name": "shop", "labels": {"app": "sconce"}, "annotations": {
                   # What has run stays, so that its log can be read.
                   "io.podman.annotations.init.container.type": "always"}},
               "spec": {**spec, "restartPolicy": "Never"}}

    def play(self, check=True):
        return self.podman("kube", "play", "--network", "host", self.file, check=check)

    def logs(self, container="sconce"):
        done = self.podman("logs", f"shop-{container}", check=False)
        return done.stdout + done.stderr

    def state(self):
        return self.podman.inspect("shop-sconce")["State"]

    def call(self, path, **options):
        return requests.request(options.pop("method", "GET"), timeout=20,
                                url=f"http://127.0.0.1:{self.inference}{path}", **options)

    def is_ready(self):
        try:
            return self.call("/readyz").status_code == 200
        except requests.ConnectionError:
            assert self.state()["Status"] in ("created", "running"), self.logs()
            return False

    def predict(self, kind="inference"):
        return self.call("/predictions/echo", method="POST", data=VECTOR, headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.keys[kind]['key']}"})

    def down(self):
        self.podman("pod", "rm", "--force", "--time", 30, "shop", check=False)
        self.podman("volume", "rm", "--force", *VOLUMES, check=False)


@pytest.fixture
def play(podman, core_image, files, tmp_path):
    """play(checksum=…): the Pod, not yet started. The claim lasts for the test."""
    made = []

    def start(**options):
        made.append(Played(podman, tmp_path, files, **options))
        return made[-1]
    yield start
    for played in made:
        played.down()
    podman("volume", "rm", "--force", CLAIM, check=False)


def ask(played):
    """What probes and clients ask."""
    assert played.call("/livez").status_code == 200
    assert played.predict().json() == [1, 2, 3]
    assert played.predict("management").status_code == 400
    metrics = requests.get(f"http://127.0.0.1:{played.metrics}/metrics", timeout=20).text
    assert 'sconce_workers_ready{model_name="echo"' in metrics


def drain(played):
    """A request that is under way when the Pod is to end is answered."""
    with Raw(played.inference) as client:
        client.send("POST /predictions/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
                    f"Authorization: Bearer {played.keys['inference']['key']}\r\n"
                    "Content-Type: application/json\r\n\r\n[1, ")
        stopping = background(lambda: played.podman("pod", "stop", "--time", 45, "shop"))
        eventually(lambda: "finishing the requests in flight" in played.logs(), played.logs)
        client.send("2, 3]")
        assert client.response().status == 200
    stopping.result(90)
    assert played.state()["ExitCode"] == 0, played.logs()
    assert "The server has stopped" in played.logs()


def test_the_pod_is_asked_and_drained_and_keeps_its_models(play, files):
    """Its successor has another checksum in its list: it does not start, and the store stays."""
    first = play()
    first.play()
    eventually(first.is_ready, first.logs, 60)
    assert "echo.mar: fetched" in first.logs("models")
    ask(first)
    drain(first)
    first.down()

    wrong = play(checksum="0" * 64)
    wrong.play(check=False)
    eventually(lambda: "what was wanted: its SHA-256 is" in wrong.logs("models"),
               lambda: wrong.logs("models"))
    assert wrong.state()["Status"] != "running"
    store = Path(wrong.podman("volume", "inspect", "--format", "{{.Mountpoint}}", CLAIM)
                 .stdout.strip())
    assert [path.name for path in store.iterdir()] == ["echo.mar"]
    assert (store / "echo.mar").read_bytes() == files.files["echo.mar"]
