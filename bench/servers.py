# SPDX-License-Identifier: Apache-2.0
"""The servers to compare: how each is started, found ready, and stopped.

All are driven over the same API (TorchServe's), so what differs is only how a process starts.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from processes import command_of, cpu_seconds, free_ports, pss_mib, tree

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
CACHE = ROOT / ".cache" / "bench"
PATIENCE = 120


def every(seconds, check, patience=PATIENCE):
    """Asks until the answer is truthy; returns it."""
    pause, end = threading.Event(), time.monotonic() + patience
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"nothing after {patience} s")
        pause.wait(seconds)


class Server:
    """One server that runs from start() to stop(), in a folder of its own."""

    name = ""
    warm_up = 2.0    # seconds of load before it shows what it can do

    def __init__(self):
        self.process = None
        self.folder = CACHE / "run" / self.name
        self.ports = []

    # ---- what a kind of server has to say ----

    def command(self, store, load):
        """The command line that serves `load` (a list of archives) from `store`."""
        raise NotImplementedError

    def environment(self):
        return {}

    @classmethod
    def installed(cls):
        """None, or what is missing."""
        raise NotImplementedError

    # ---- life ----

    def start(self, store, load=()):
        """Starts it; what it loads on its own has one worker each. Not ready yet on return."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "tmp").mkdir(parents=True)
        self.ports = free_ports(6)
        temporary = str(self.folder / "tmp")
        env = {**os.environ, "TMPDIR": temporary, "TEMP": temporary, **self.environment()}
        command = self.command(store, load)
        self.console = self.folder / "console.log"
        self.began = time.monotonic()
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(command, cwd=self.folder, env=env, stdout=console,
                                            stderr=console, stdin=subprocess.DEVNULL,
                                            start_new_session=True)
        return self

    def stop(self):
        """Asks it to end, then sees to it. Returns when nothing of it is left."""
        if not self.process:
            return
        pids = tree(self.process.pid)
        self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def pids(self):
        return tree(self.process.pid)

    def cpu(self):
        return cpu_seconds(self.pids())

    def settle(self):
        """Returns when it has done what clients that left had asked of it."""
        pause, used = threading.Event(), self.cpu()
        for _ in range(150):
            pause.wait(0.1)
            before, used = used, self.cpu()
            if used - before <= 0.02:
                break

    def memory(self):
        return pss_mib(self.pids())

    # ---- calls ----

    def url(self, path):
        return f"http://127.0.0.1:{self.ports[0]}{path}"

    def call(self, method, path, body=None, management=False, timeout=PATIENCE, accept="*/*"):
        """(status, body), or (0, reason) when there was no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[int(management)],
                                                timeout=timeout)
        try:
            kind = {"Content-Type": "application/octet-stream"} if body else {}
            connection.request(method, path, body, {"Accept": accept, **kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as e:
            return 0, repr(e).encode()
        finally:
            connection.close()

    def first_answer(self, path, body):
        """Seconds from its start to a good answer."""
        every(0.005, lambda: self.alive() and self.call("POST", path, body)[0] == 200)
        return time.monotonic() - self.began

    def alive(self):
        if self.process.poll() is not None:
            tail = self.console.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{tail}")
        return True

    def wait_listening(self):
        every(0.01, lambda: self.alive() and
              self.call("GET", "/models", management=True)[0] == 200)

    def register(self, name, workers, batch=1, delay_ms=5, archive=None):
        """Adds an archive of the store; returns when its workers are ready."""
        self.wait_listening()
        query = (f"url={archive or f'{name}.mar'}&initial_workers={workers}&synchronous=true"
                 f"&batch_size={batch}&max_batch_delay={delay_ms}")
        status, answer = self.call("POST", f"/models?{query}", management=True)
        if status != 200:
            raise RuntimeError(f"{self.name}: registering {name}: {status} {answer!r}")

    def workers(self, name):
        """Pids of a model's workers that are ready."""
        status, answer = self.call("GET", f"/models/{name}", management=True)
        found = json.loads(answer)[0]["workers"] if status == 200 else []
        return [w["pid"] for w in found if w["status"] == "READY" and w["pid"] > 0]


class Sconce(Server):
    """This project's build, with the settings it has when nobody sets any."""

    name = "sconce"
    settings = {}
    python = ROOT / ".venv-demo" / "bin" / "python"
    binary = Path(os.environ.get("SCONCE_BIN_DIR", ROOT / "build" / "bin")) / "sconce"

    @classmethod
    def installed(cls):
        return None if cls.binary.exists() else "build/bin/sconce is missing: make"

    def command(self, store, load):
        settings = {"model-store": store, "load-models": ",".join(load) or None,
                    "default-workers-per-model": 1, "disable-token-authorization": "true",
                    "enable-model-api": "true", "no-config-snapshots": "true",
                    "python": self.python if self.python.exists() else None, **self.settings}
        for kind, port in zip(("inference", "management", "metrics"), self.ports):
            settings[f"{kind}-address"] = f"http://127.0.0.1:{port}"
        flags = [(f"--{key}", str(value)) for key, value in settings.items() if value is not None]
        return [str(self.binary), "serve", *(word for flag in flags for word in flag)]


class SconcePrometheus(Sconce):
    """The same, but TorchServe's metrics are published and not written to its logs."""

    name = "sconce-prometheus"
    settings = {"metrics-mode": "prometheus"}


class TorchServe(Server):
    """TorchServe 0.12 as it is after installation."""

    name = "torchserve"
    warm_up = 8.0
    tuned = False
    venv = ROOT / ".venv-torchserve"

    @classmethod
    def installed(cls):
        if not (cls.venv / "bin" / "torchserve").exists():
            return "TorchServe is missing: tools/setup.sh bench"
        return None if shutil.which("java") else "Java is missing: tools/setup.sh bench"

    def environment(self):
        path = f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "VIRTUAL_ENV": str(self.venv), "LOG_LOCATION": str(
            self.folder / "logs"), "METRICS_LOCATION": str(self.folder / "logs")}

    def command(self, store, load):
        a, b, c, d, e, first = self.ports
        config = self.folder / "config.properties"
        config.write_text(
            f"inference_address=http://127.0.0.1:{a}\nmanagement_address=http://127.0.0.1:{b}\n"
            f"metrics_address=http://127.0.0.1:{c}\ngrpc_inference_port={d}\n"
            f"grpc_management_port={e}\ninitial_worker_port={first + 1000}\n"
            "disable_token_authorization=true\nenable_model_api=true\n"
            "default_workers_per_model=1\n")
        command = [str(self.venv / "bin" / "torchserve"), "--start", "--foreground", "--ncs",
                   "--ts-config", str(config), "--model-store", str(store)]
        command += ["--log-config", str(BENCH / "log4j2-error.xml")] if self.tuned else []
        return command + (["--models", *load] if load else [])

    def terminate(self):
        """The launcher does not pass a signal on to the server."""
        for pid in self.pids():
            if "org.pytorch.serve.ModelServer" in command_of(pid):
                os.kill(pid, signal.SIGTERM)


class TorchServeTuned(TorchServe):
    """At its best: only errors are logged, and workers do not fight for the cores."""

    name = "torchserve-tuned"
    tuned = True

    def environment(self):
        return {**super().environment(), "OMP_NUM_THREADS": "1"}


SERVERS = {kind.name: kind for kind in (Sconce, TorchServe, TorchServeTuned)}
