# SPDX-License-Identifier: Apache-2.0
"""As a service of systemd: its sockets, and what it is told. Its own programs play it."""

import os
import shutil
import signal
import socket
import subprocess

import pytest
import requests

from e2e.archives import make_mar
from e2e.server import BIN, arguments, eventually
from processes import free_ports

ACTIVATE = shutil.which("systemd-socket-activate")


class Listener:
    """Where a service tells how it is. Messages are kept in order."""

    def __init__(self, folder):
        self.path = str(folder / "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20)
        self.heard = []

    def wait_for(self, assignment):
        while not any(assignment in message.split("\n") for message in self.heard):
            self.heard.append(self.socket.recv(4096).decode())
        return self.heard


@pytest.fixture
def listener(tmp_path):
    made = Listener(tmp_path)
    yield made
    made.socket.close()


def test_it_tells_how_it_is(serve, tmp_path, listener):
    server = serve(environment={"NOTIFY_SOCKET": listener.path, "WATCHDOG_USEC": "200000"},
                   wait=False)
    listener.wait_for("READY=1")
    listener.wait_for("STATUS=Answering")
    listener.heard.clear()
    listener.wait_for("WATCHDOG=1")
    server.signal(signal.SIGTERM)
    listener.wait_for("STOPPING=1")
    assert server.wait() == 0


def test_workers_know_nothing_of_it(serve, tmp_path, listener):
    make_mar(tmp_path / "store", "env", "import os\ndef handle(data, context):\n"
                                        "    return [dict(os.environ)] * len(data or ())\n")
    server = serve(store=tmp_path / "store", environment={"NOTIFY_SOCKET": listener.path})
    seen = server.predict("env", b"x").json()
    assert not [name for name in seen if name.startswith(("NOTIFY_", "LISTEN_", "WATCHDOG_"))]


def test_a_bad_variable_stops_the_start(serve):
    server = serve(environment={"NOTIFY_SOCKET": "nowhere"}, wait=False)
    assert server.wait() == 1
    server.ended = True
    assert "NOTIFY_SOCKET: 'nowhere' is no place of a Unix socket" in server.console


class Activated:
    """`sconce serve` behind a socket of systemd-socket-activate, which starts it for a client."""

    def __init__(self, folder, name):
        self.port, management, metrics = free_ports(3)
        self.console = folder / "activated.log"
        settings = {"inference_address": "http://127.0.0.1:1",     # nobody may bind that one here
                    "management_address": f"http://127.0.0.1:{management}",
                    "metrics_address": f"http://127.0.0.1:{metrics}",
                    "log_location": folder / "logs", "tmp_dir": folder,
                    "disable_token_authorization": True, "no_config_snapshots": True}
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(
                [ACTIVATE, "--listen", f"127.0.0.1:{self.port}", f"--fdname={name}",
                 str(BIN / "sconce"), "serve", *arguments(settings)],
                cwd=folder, stdout=console, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**os.environ, "TMPDIR": str(folder)})
        eventually(lambda: "Listening on" in self.console.read_text(errors="replace"))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(20)


@pytest.fixture
def activated(tmp_path):
    if not ACTIVATE:
        pytest.skip("no systemd-socket-activate here")
    started = []

    def start(name):
        started.append(Activated(tmp_path, name))
        return started[-1]
    yield start
    for one in started:
        one.stop()


def test_a_socket_of_systemd(activated):
    """The client that wakes it is the first that it answers."""
    service = activated("inference")
    answer = requests.get(f"http://127.0.0.1:{service.port}/ping", timeout=30)
    assert answer.json() == {"status": "Healthy"}
    assert "The socket 'inference' of systemd is used" in service.console.read_text()
    assert service.stop() == 0


def test_a_socket_without_a_use(activated):
    service = activated("front-door")
    with socket.create_connection(("127.0.0.1", service.port), 10):
        assert service.process.wait(20) == 1
    assert ("systemd hands over a socket that is called 'front-door': FileDescriptorName= of its "
            "unit has to be inference, management or metrics") in service.console.read_text()
