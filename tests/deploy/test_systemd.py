# SPDX-License-Identifier: Apache-2.0
"""The Debian package and its units: installed on a machine of its own, and run there by systemd."""

import json
import re
import shutil
import subprocess
import threading

import pytest

from deploy.machine import Machine, why_not
from e2e.archives import make_mar
from e2e.server import BIN, REPOSITORY, eventually

UNITS = REPOSITORY / "deploy" / "systemd"
STATE = "var/lib/sconce/default"
SERVICE = "sconce@default.service"
HANDLER = """
import os, time
def handle(data, context):
    return [{"pid": os.getpid(), "uid": os.getuid(), "front": os.getppid()}] * len(data or ())
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deb")
    done = subprocess.run([REPOSITORY / "tools" / "deb.sh", folder, BIN.parent],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    made, = folder.glob("sconce_*.deb")
    assert done.stdout == f"deb: {made}\n"
    return made


@pytest.fixture(scope="module")
def machine(package, tmp_path_factory):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    made = Machine(tmp_path_factory.mktemp("machine"), package)
    try:
        made.boot()
        make_mar(made.root / STATE / "models", "who", HANDLER)
        yield made
    finally:
        made.destroy()


@pytest.fixture
def service(machine):
    """Running, with its socket."""
    machine.do("systemctl", "start", "sconce@default.socket", SERVICE)
    eventually(lambda: ask(machine)[0] == 200, lambda: ask(machine), timeout=60)
    return machine


def main_pid(machine):
    return int(machine.ask("systemctl", "show", "-p", "MainPID", "--value", SERVICE))


def key(machine, kind="inference"):
    return json.loads((machine.root / STATE / "key_file.json").read_text())[kind]["key"]


def ask(machine):
    """Status and answer of a request of the model."""
    out = machine.ask("curl", "-s", "-w", "\n%{http_code}", "-d", "x",
                      "-H", f"Authorization: Bearer {key(machine)}",
                      "http://127.0.0.1:8080/predictions/who")
    body, _, status = out.rpartition("\n")
    return int(status or 0), body


# ---- the package ----

def listed(package):
    done = subprocess.run(["dpkg-deb", "--contents", package], capture_output=True, text=True,
                          check=True)
    return re.findall(r" \./(\S+)", done.stdout)


def test_what_the_package_holds(package):
    files = set(listed(package))
    pages = subprocess.run([BIN / "sconce", "man"], capture_output=True, text=True, check=True)
    assert {f"usr/share/man/man1/{page}.1.gz" for page in pages.stdout.split()} <= files
    assert {"usr/bin/sconce", "usr/bin/sconce-worker", "usr/bin/torchserve",
            "etc/sconce/default.properties", "usr/lib/systemd/system/sconce@.service",
            "usr/lib/sysusers.d/sconce.conf", "usr/lib/sconce/engines/onnx.so"} <= files
    assert not [name for name in files if name.startswith("usr/local") or name.endswith(".pyc")]


@pytest.mark.parametrize("page", ["sconce", "sconce-serve", "sconce-models-register", "torchserve"])
def test_manual_pages_are_well_made(page, tmp_path):
    text = subprocess.run([BIN / "sconce", "man", page], capture_output=True, check=True).stdout
    (tmp_path / "page.1").write_bytes(text)
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", tmp_path / "page.1"],
                          capture_output=True, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


def test_every_setting_is_in_a_manual_page():
    text = subprocess.run([BIN / "sconce", "man", "sconce-serve"], capture_output=True, text=True,
                          check=True).stdout
    assert r"\fB\-\-job\-queue\-size\fR \fI1..1000000\fR" in text


# ---- the units, without a systemd that runs ----

@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_what_the_service_may_do():
    """Of 10, which is everything; also where GPUs are allowed."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=25",
                           UNITS / "sconce@.service"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- on the machine ----

def test_it_serves_as_a_user_of_its_own(service):
    status, body = ask(service)
    assert status == 200
    assert json.loads(body)["uid"] == int(service.ask("id", "-u", "sconce"))
    assert service.ask("systemctl", "show", "-p", "StatusText", "--value", SERVICE) == "Answering"
    assert service.ask("stat", "-c", "%U %a", f"/{STATE}/key_file.json") == "sconce 600"


def test_a_worker_that_is_killed_is_replaced(service):
    worker = json.loads(ask(service)[1])["pid"]
    service.do("sh", "-c", f"kill -9 {worker}")
    assert eventually(lambda: ask(service)[0] == 200)
    assert json.loads(ask(service)[1])["pid"] != worker


def test_nobody_is_refused_while_it_restarts(service):
    """systemd holds the socket: who comes then waits."""
    seen, enough = [], threading.Event()

    def clients():
        while not enough.is_set():
            seen.append(service.ask("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                    "http://127.0.0.1:8080/ping"))
    thread = threading.Thread(target=clients)
    thread.start()
    before = main_pid(service)
    try:
        service.do("systemctl", "restart", SERVICE)
    finally:
        enough.set()
        thread.join()
    assert main_pid(service) != before
    # Keys are made anew; what was refused was refused for that, and by the server.
    assert seen and set(seen) <= {"200", "400"}


def test_a_server_that_hangs_is_replaced(service):
    """It gives no sign of life then. The watchdog's time is short here, so that the test is."""
    drop_in = service.root / "etc/systemd/system" / f"{SERVICE}.d"
    drop_in.mkdir(parents=True)
    (drop_in / "watchdog.conf").write_text("[Service]\nWatchdogSec=1s\n")
    service.do("systemctl", "daemon-reload")
    service.do("systemctl", "restart", SERVICE)
    before = main_pid(service)
    service.do("sh", "-c", f"kill -STOP {before}")
    eventually(lambda: main_pid(service) not in (0, before), timeout=60)
    assert eventually(lambda: ask(service)[0] == 200, timeout=60)
    shutil.rmtree(drop_in)
    service.do("systemctl", "daemon-reload")


def test_a_setting_that_is_wrong(service):
    path = service.root / "etc/sconce/default.properties"
    good = path.read_text()
    path.write_text(good + "job_queue_size=many\n")
    try:
        done = service.enter("systemctl", "restart", SERVICE)
        assert done.returncode == 1
        journal = service.ask("journalctl", "-u", SERVICE, "--no-pager", "-n", "20")
        assert "job_queue_size: 'many'" in journal, journal
    finally:
        path.write_text(good)
    service.do("systemctl", "restart", SERVICE)


def test_an_instance_without_configuration_is_left_alone(machine):
    machine.do("systemctl", "start", "sconce@other.service")
    assert machine.ask("systemctl", "is-active", "sconce@other.service") == "inactive"


def test_removing_it(service):
    """Last: models stay until they are purged."""
    service.do("dpkg", "--remove", "sconce")
    assert service.ask("systemctl", "is-active", SERVICE) != "active"
    assert (service.root / STATE / "models" / "who.mar").exists()
    service.do("dpkg", "--purge", "sconce")
    assert not (service.root / "var/lib/sconce").exists()
    assert not (service.root / "etc/sconce").exists()
