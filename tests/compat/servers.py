# SPDX-License-Identifier: Apache-2.0
"""The two servers: the same command, configuration and archives; only what PATH finds differs."""

import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

from e2e.server import BIN, MARK, REPOSITORY, eventually, marked_processes

VENV = REPOSITORY / ".venv-torchserve"
LISTENERS = ("inference", "management", "metrics")
STARTING = 180      # seconds; the machine may be busy


def missing():
    """What keeps TorchServe from running here, or None."""
    if os.environ.get("SCONCE_SKIP_COMPAT"):
        return "SCONCE_SKIP_COMPAT is set"
    if not (VENV / "bin" / "torchserve").exists():
        return "TorchServe is not installed: tools/setup.sh compat"
    return None if shutil.which("java") else "Java is not installed: tools/setup.sh compat"


def quiet_ports(n):
    """Ports that no outgoing connection takes while a server is on its way to them."""
    found = []
    while len(found) < n:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", random.randrange(12000, 32000)))
            port = probe.getsockname()[1]
            found += [port] if port not in found else []
    return found


class Server:
    """One of them, running in a folder of its own until stop()."""

    def __init__(self, name, paths, root, config, store):
        self.name, self.root = name, Path(root)
        self.mark = f"compat-{name}-{os.getpid()}-{id(self)}"
        (self.root / "tmp").mkdir(parents=True)
        shutil.copytree(store, self.root / "store")
        shutil.copytree(self.root / "store" / "folder", self.root / "outside")
        ports = quiet_ports(5)
        self.ports = dict(zip(LISTENERS, ports))
        if config.combined:
            self.ports["management"] = self.ports["inference"]
        self.models = config.models
        properties = self.root / "config.properties"
        properties.write_text(self._properties(config, ports))
        command = ["torchserve", "--start", "--foreground", "--ncs", "--ts-config",
                   str(properties), "--model-store", str(self.root / "store")]
        command += ["--models", *config.models] if config.models else []
        self.path = os.pathsep.join([*map(str, paths), os.environ["PATH"]])
        self._start(command, config.environment)

    def _properties(self, config, ports):
        lines = {f"{kind}_address": f"http://127.0.0.1:{self.ports[kind]}" for kind in LISTENERS}
        lines |= {"grpc_inference_port": ports[3], "grpc_management_port": ports[4],
                  "default_workers_per_model": 1, **config.settings}
        return "".join(f"{key}={value}\n" for key, value in lines.items())

    def _environment(self, folder):
        temporary, logs = str(folder / "tmp"), str(folder / "logs")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("TS_", "SCONCE_"))}
        return env | {"PATH": self.path, "TMPDIR": temporary, "TEMP": temporary,
                      "LOG_LOCATION": logs, "METRICS_LOCATION": logs, MARK: self.mark}

    def _start(self, command, environment):
        self.console = self.root / "console.log"
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(
                [shutil.which(command[0], path=self.path), *command[1:]], cwd=self.root,
                env=self._environment(self.root) | environment,
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)

    def run(self, command, *arguments):
        """Runs another command of the same package in a folder beside the server's."""
        folder = self.root / "commands"
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [shutil.which(command, path=self.path), *arguments], cwd=folder, text=True, timeout=60,
            env=self._environment(folder), stdin=subprocess.DEVNULL, capture_output=True)
        return done.returncode, done.stdout, done.stderr

    # ---- state ----

    def wait_ready(self):
        """All models of the configuration have a worker that answers."""
        eventually(self._ready, lambda: f"{self.name} is ready:\n{self._tail()}", STARTING)
        return self

    def _ready(self):
        assert self.process.poll() is None, f"{self.name} has ended:\n{self._tail()}"
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            # An open port is the sign for servers that want a key to say more.
            self.call("GET", "/metrics", "metrics")
            text = self.console.read_text(errors="replace")
            return self._started(text) >= len(self.models)
        return False

    @staticmethod
    def _started(text):
        """How many models have a worker that has loaded, by what both servers log."""
        ready = r"(?:State change WORKER_STARTED -> WORKER_MODEL_LOADED|registered with 1 initial)"
        return len(re.findall(ready, text))

    def _tail(self):
        return self.console.read_text(errors="replace")[-3000:]

    def manage(self, method, target):
        return self.call(method, target, "management")

    def call(self, method, target, listener="inference"):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[listener], timeout=20)
        try:
            connection.request(method, target)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def keys(self):
        """{kind: key} of the file that a server with tokens writes into its folder."""
        path = self.root / "key_file.json"
        keys = json.loads(path.read_text()) if path.exists() else {}
        return {kind: one["key"] for kind, one in keys.items()}

    def clean(self):
        """Unregisters whatever a case has left."""
        for model in json.loads(self.manage("GET", "/models")[1])["models"]:
            name = model["modelName"]
            versions = json.loads(self.manage("GET", f"/models/{name}/all")[1])
            for version in versions * 2:    # the default one goes last
                self.manage("DELETE", f"/models/{name}/{version['modelVersion']}")

    # ---- the end ----

    def stop(self):
        for pid, command in marked_processes(self.mark):
            if b"ModelServer" in command or pid == self.process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        for pid, _ in marked_processes(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Pair:
    """Both servers of one configuration."""

    def __init__(self, root, config, store):
        python = VENV / "bin"
        self.config = config
        self.torchserve = Server("torchserve", [python], root / "torchserve", config, store)
        self.sconce = Server("sconce", [BIN, python], root / "sconce", config, store)

    def wait_ready(self):
        self.torchserve.wait_ready()
        self.sconce.wait_ready()
        return self

    def clean(self):
        """Where no models are loaded at start, none are between cases."""
        start = self.config.models or "model_snapshot" in self.config.settings
        for server in () if start else (self.torchserve, self.sconce):
            server.clean()

    def stop(self):
        ends = [threading.Thread(target=server.stop) for server in (self.torchserve, self.sconce)]
        for end in ends:
            end.start()
        for end in ends:
            end.join()
