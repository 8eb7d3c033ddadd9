# SPDX-License-Identifier: Apache-2.0
"""The image of sconce as podman runs it: what it is asked for, what it is allowed, how it ends."""

import json
import os
import re

import pytest
import requests

from deploy.podman import HOME, Failed
from e2e.archives import make_mar
from e2e.client import Raw
from e2e.gate import background
from e2e.server import eventually, free_ports

VECTOR = "[1, 2, 3]"


def make_model(store, name="echo"):
    """A folder that the engine `echo` serves: no Python is in the image."""
    folder = store / name
    (folder / "MAR-INF").mkdir(parents=True)
    (folder / "m.echo").write_text("x")
    (folder / "MAR-INF/MANIFEST.json").write_text(json.dumps(
        {"runtime": "native", "model": {"modelName": name, "serializedFile": "m.echo"}}))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("containers") / "store"
    make_model(folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


class Served:
    """A container on ports of its own, asked from outside."""

    def __init__(self, podman, image, store, command, options, models="all"):
        self.inference, self.management, metrics = free_ports(3)
        addresses = {"INFERENCE": self.inference, "MANAGEMENT": self.management,
                     "METRICS": metrics}
        told = [f"--env=TS_{key}_ADDRESS=http://127.0.0.1:{port}"
                for key, port in addresses.items()]
        if models:
            told.append(f"--env=TS_LOAD_MODELS={models}")
        shelf = f"{HOME}/model-store:ro"
        if not any(str(option).endswith(shelf) for option in options):
            told += ["--volume", f"{store}:{shelf}"]
        self.container = podman.run(image, *command, options=[*told, *options])

    def ready(self):
        eventually(self.is_ready, lambda: "readiness:\n" + self.container.logs())
        return self

    def is_ready(self):
        assert self.container.running(), self.container.logs()
        try:
            return requests.get(self.url("/readyz"), timeout=20).status_code == 200
        except requests.ConnectionError:
            return False

    def url(self, path):
        return f"http://127.0.0.1:{self.inference}{path}"

    def predict(self, model="echo", body=VECTOR):
        return requests.post(self.url(f"/predictions/{model}"), data=body, timeout=20,
                             headers={"Content-Type": "application/json"})

    def describe(self, model="echo"):
        url = f"http://127.0.0.1:{self.management}/models/{model}"
        return requests.get(url, timeout=20).json()[0]


@pytest.fixture
def serve(podman, core_image, store):
    """serve(command words, options=[], image=core): a running container that is ready."""
    made = []

    def start(*command, options=(), image=core_image, ready=True, **more):
        served = Served(podman, image, store, command, options, **more)
        made.append(served.container)
        return served.ready() if ready else served
    yield start
    for container in made:
        container.remove()


@pytest.fixture(scope="module")
def served(podman, core_image, store):
    """One container for the tests that leave it as it is."""
    one = Served(podman, core_image, store, [], [])
    yield one.ready()
    one.container.remove()


# ---- what it is ----

def test_size_and_facts_of_the_image(podman, core_image):
    image = podman.inspect(core_image)
    assert image["Size"] < 120e6
    config = image["Config"]
    assert config["User"] == "1000:0" and config["WorkingDir"] == HOME
    assert config["StopSignal"] == "SIGTERM" and config["Cmd"] == ["serve"]
    assert sorted(config["ExposedPorts"]) == ["8080/tcp", "8081/tcp", "8082/tcp"]
    assert image["Healthcheck"]["Test"] == ["CMD", "sconce", "health", "--quiet"]


def test_two_builds_give_the_same_layers(podman, core_image, tmp_path):
    before = podman.inspect(core_image)
    podman.build("core", WORK=str(tmp_path / "work"))
    after = podman.inspect(core_image)
    assert after["RootFS"]["Layers"] == before["RootFS"]["Layers"]


@pytest.mark.parametrize("variant, variables, why", [
    ("tourch", {}, "there is no variant 'tourch'; there are: core, python, onnx, torch"),
    ("core", {"ARCH": "mips"}, "there are images for amd64 and arm64, not for 'mips'"),
    ("core", {"build": "nowhere"}, "there is no build folder nowhere: make build makes one"),
])
def test_what_cannot_be_built_is_said_at_once(podman, variant, variables, why):
    with pytest.raises(Failed, match=re.escape(why)):
        podman.build(variant, **variables)


# ---- serving ----

def test_a_model_answers(served):
    answer = served.predict()
    assert answer.status_code == 200 and answer.json() == [1, 2, 3]


def test_defaults_reach_all_ports_from_outside(podman, core_image, store):
    """Without variables: TorchServe's addresses, and nothing is loaded that nobody asked for."""
    container = podman.run(core_image, options=[
        "--network", "none", "--volume", f"{store}:{HOME}/model-store:ro"])
    eventually(lambda: container.exec("sconce", "health", check=False).returncode == 0,
               container.logs)
    logs = container.logs()
    for name, port in (("Inference", 8080), ("Management", 8081), ("Metrics", 8082)):
        assert f"{name} address: http://0.0.0.0:{port}" in logs
    assert "no models" in container.exec("sconce", "models", "list").stdout.lower()
    assert container.exec("id", "-u").stdout == "1000\n"
    container.remove()


def test_health_tells_what_a_check_needs(served, serve):
    address = ["--address", f"http://127.0.0.1:{served.inference}"]
    good = served.container.exec("sconce", "health", *address)
    assert good.stdout == "Ready\n"
    quiet = served.container.exec("sconce", "health", "--live", "--quiet", *address)
    assert quiet.stdout + quiet.stderr == ""
    nobody = served.container.exec("sconce", "health", "--address",
                                   f"http://127.0.0.1:{free_ports(1)[0]}", check=False)
    assert nobody.returncode == 3 and "no answer from http://127.0.0.1:" in nobody.stderr
    broken = serve(models="missing.mar", ready=False)
    bad = ["sconce", "health", "--address", f"http://127.0.0.1:{broken.inference}"]
    eventually(lambda: "missing" in broken.container.exec(*bad, check=False).stderr,
               broken.container.logs)
    assert broken.container.exec(*bad, check=False).returncode == 1


def test_the_image_asks_for_its_health(podman, served):
    """The check has no address but that of the configuration and the variables."""
    assert podman("healthcheck", "run", served.container.name).returncode == 0


# ---- process 1 ----

def test_an_open_request_is_answered_before_the_end(serve):
    one = serve()
    with Raw(one.inference) as client:
        client.send("POST /predictions/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
                    "Content-Type: application/json\r\n\r\n[1, ")
        stopping = background(one.container.stop)
        eventually(lambda: "finishing the requests in flight" in one.container.logs(),
                   one.container.logs)
        client.send("2, 3]")
        assert client.response().status == 200
    code, _ = stopping.result(90)
    assert code == 0, one.container.logs()
    assert "The server has stopped" in one.container.logs()


def test_a_worker_that_is_killed_comes_back(serve):
    one = serve()
    # The first child of process 1, by the kernel's list: nobody else's process can be meant.
    kill = "read -r pid rest </proc/1/task/1/children; kill -9 $pid; echo $pid"
    killed = one.container.exec("bash", "-c", kill).stdout.strip()
    eventually(lambda: one.describe()["workers"][0]["status"] == "READY" and
               one.describe()["workers"][0]["pid"] not in (-1, int(killed)), one.container.logs)
    assert one.predict().status_code == 200


def test_orphans_are_reaped(served):
    orphan = served.container.exec("bash", "-c", "sleep 0.1 >/dev/null 2>&1 & echo $!").stdout
    look = ["test", "-e", f"/proc/{orphan.strip()}"]
    eventually(lambda: served.container.exec(*look, check=False).returncode == 1, "its end")
    zombies = served.container.exec("bash", "-c", "grep -l 'State:.Z' /proc/[0-9]*/status",
                                    check=False)
    assert zombies.stdout == ""


def test_process_1_is_the_server(served):
    assert served.container.exec("cat", "/proc/1/comm").stdout == "torchserve\n"


# ---- what it is allowed ----

def test_read_only_with_one_tmpfs(serve):
    one = serve(options=["--read-only", "--read-only-tmpfs=false", "--tmpfs", f"{HOME}/tmp"])
    assert one.predict().status_code == 200
    assert one.container.exec("touch", f"{HOME}/x", check=False).returncode != 0
    warnings = re.findall(r"\[WARN \] main .*", one.container.logs())
    assert [line for line in warnings if "max_connections" not in line] == []


def test_without_privileges_as_another_user(serve):
    one = serve(options=["--user", "12345:23456", "--cap-drop=all",
                         "--security-opt=no-new-privileges"])
    assert one.predict().status_code == 200
    assert one.container.exec("id", "-u").stdout == "12345\n"


def test_limits_of_the_container_are_those_of_the_server(serve):
    one = serve(options=["--cpus", "1", "--memory", "512m"])
    logs = one.container.logs()
    assert "Number of CPUs: 1\n" in logs and "Memory budget: 128 M\n" in logs
    described = one.describe()
    assert described["minWorkers"] == 1 and len(described["workers"]) == 1
    assert described["workers"][0]["threads"] == 1


def test_variables_and_a_file_of_ones_own(serve, tmp_path):
    config = tmp_path / "own.properties"
    config.write_text("job_queue_size=7\nenable_envvars_config=true\n")
    config.chmod(0o644)
    tmp_path.chmod(0o755)
    one = serve(options=["--volume", f"{config}:/config/own.properties:ro", "--env",
                         "TS_CONFIG_FILE=/config/own.properties", "--env",
                         f"TS_MODEL_STORE={HOME}/model-store"])
    assert "Config file: /config/own.properties" in one.container.logs()
    assert one.describe()["jobQueueStatus"]["remainingCapacity"] == 7


# ---- with Python ----

ARRAYS = """
import json
import os
import numpy

def handle(data, context):
    if data is None:
        return None
    with open("/gate/calls", "a") as calls:
        calls.write("x")
    with open("/gate/fifo") as gate:
        gate.read()
    return [json.dumps(float(numpy.sum(row["body"]))) for row in data]
"""


def test_a_handler_in_python_is_drained(serve, podman, python_image, tmp_path):
    """The request that its handler works on when the container is to end is answered."""
    assert podman.inspect(python_image)["Size"] < 250e6
    make_mar(tmp_path / "store", "arrays", ARRAYS)
    gate = tmp_path / "gate"
    gate.mkdir()
    os.mkfifo(gate / "fifo")
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o777)
    one = serve(image=python_image, models="arrays.mar", options=[
        "--read-only", "--read-only-tmpfs=false", "--tmpfs", f"{HOME}/tmp", "--user", "12345",
        "--volume", f"{tmp_path / 'store'}:{HOME}/model-store:ro", "--volume", f"{gate}:/gate"])
    asked = background(one.predict, "arrays")
    eventually((gate / "calls").exists, one.container.logs)
    stopping = background(one.container.stop)
    eventually(lambda: "finishing the requests in flight" in one.container.logs(),
               one.container.logs)
    (gate / "fifo").write_text("go on")
    assert asked.result(60).text == "6.0"
    code, _ = stopping.result(90)
    assert code == 0, one.container.logs()


def test_pip_has_a_place_of_its_own(podman, python_image):
    code, text = podman.outcome(python_image, "sh", "-c", "pip --version && test -w /home/venv/bin "
                                "&& python -c 'import sys; print(sys.prefix)'")
    assert code == 0 and text.startswith("pip 2") and text.endswith("\n/home/venv\n")


# ---- as TorchServe's image is started ----

START = ["torchserve", "--start", "--ncs", "--model-store", f"{HOME}/model-store",
         "--disable-token-auth"]


@pytest.mark.parametrize("command", [
    [*START, "--models", "echo=echo"],
    [" ".join([*START, "--models", "'echo=echo'"])],
    [" ".join([*START, "--models", "echo=echo"]) + " && tail -f /dev/null"],
    ["serve", "--models", "echo=echo"],
], ids=["words", "one-argument", "shell", "serve"])
def test_arguments_of_torchserve(serve, command):
    one = serve(*command, models=None)
    assert one.predict().status_code == 200
    code, _ = one.container.stop()
    assert code == 0


def test_other_commands_are_run(podman, core_image):
    def outcome(*command):
        return podman.outcome(core_image, *command)
    assert outcome("torchserve", "--version") == (0, "TorchServe Version is 0.12.0\n")
    assert outcome("sh", "-c", "echo $HOME") == (0, HOME + "\n")
    assert outcome("exit 7") == (7, "")
    code, text = outcome("torchsrve")
    assert code == 127 and "torchsrve: not found" in text


def test_a_container_that_is_started_again_serves(serve, podman):
    """The file with the process id of its first life names process 1: itself."""
    one = serve()
    podman("kill", "--signal", "KILL", one.container.name)
    assert one.container.wait() == 137
    podman("start", one.container.name)
    assert one.ready().predict().status_code == 200


def test_what_is_wrong_is_said_in_a_sentence(podman, core_image):
    def run(*options):
        return podman.outcome(core_image, options=options)
    code, text = run("--env", "TS_JOB_QUEUE_SIZE=many")
    assert code == 1 and "Invalid configuration: TS_JOB_QUEUE_SIZE: 'many'" in text, text
    code, text = run("--env", "TS_CONFIG_FILE=/nowhere")
    assert code == 1 and "TS_CONFIG_FILE file not found: /nowhere" in text, text
    code, text = run("--read-only", "--read-only-tmpfs=false")
    assert code == 1 and "let TEMP or tmp_dir name another folder" in text, text
    code, text = run("--env", f"TS_MODEL_STORE={HOME}/models")
    assert code == 1 and "directory not found" in text, text
