# SPDX-License-Identifier: Apache-2.0
"""Starts the executable in a folder and on ports of its own, and checks how it ends."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import uuid
from functools import partial
from pathlib import Path

import requests

from e2e.client import Raw

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tools"))

from processes import free_ports  # noqa: E402
BIN = Path(os.environ.get("SCONCE_BIN_DIR", REPOSITORY / "build" / "bin"))
PYTHON = os.environ.get("SCONCE_E2E_PYTHON", sys.executable)
MARK = "SCONCE_E2E_MARK"
SANITIZER = re.compile(rb"(ERROR: \w+Sanitizer|runtime error:|Assertion `).*")
PATIENCE = 20
# Nothing may keep the server from its sockets longer than that; sanitizers take their time.
STALL_MS = int(os.environ.get("SCONCE_E2E_STALL_MS", "50"))
STALL = re.compile(r" sconce\.loop - The loop did not poll for (\d+) ms, (\d+) ms of them in (\w+)")
STALL_SURE_MS = 5 * STALL_MS   # what a machine that is short of memory or time does not do to us


def eventually(check, what="", timeout=PATIENCE):
    """Asks until the answer is truthy; returns it. For what no event tells of."""
    pause = threading.Event()
    give_up = threading.Event()
    timer = threading.Timer(timeout, give_up.set)
    timer.daemon = True
    timer.start()
    try:
        while True:
            late = give_up.is_set()
            result = check()
            if result:
                return result
            assert not late, f"not within {timeout} s: {what() if callable(what) else what}"
            pause.wait(0.01)
    finally:
        timer.cancel()


def wait_for(texts, read):
    """What is read, once all `texts` are in it."""
    def whole():
        now = read()
        return all(text in now for text in texts) and now
    return eventually(whole, lambda: f"{texts} in: {read()[-3000:]}")


def marked_processes(mark):
    """Processes that inherited the mark, as (pid, command line)."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if f"{MARK}={mark}".encode() not in (entry / "environ").read_bytes():
                continue
            if "\nState:\tZ" in (entry / "status").read_text():
                continue
            found.append((int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ")))
        except OSError:
            continue
    return found


def arguments(settings):
    out = []
    for key, value in settings.items():
        if value is None:
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        out += ["--" + key.replace("_", "-"), str(value)]
    return out


class Server:
    """One running server. Settings are the product's keys; None removes a default of ours."""

    def __init__(self, root, store=None, environment=None, wait=True, files=None, **settings):
        self.root = Path(root)
        self.store = Path(store or self.root / "store")
        self.logs = self.root / "logs"
        self.mark = uuid.uuid4().hex
        self.ended = False
        for folder in (self.store, self.root / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        self.inference, self.management, self.metrics_port = free_ports(3)
        self.settings = {
            "inference_address": f"http://127.0.0.1:{self.inference}",
            "management_address": f"http://127.0.0.1:{self.management}",
            "metrics_address": f"http://127.0.0.1:{self.metrics_port}",
            "model_store": self.store, "load_models": "all", "log_location": self.logs,
            "tmp_dir": self.root / "tmp", "python": PYTHON, "metrics_mode": "prometheus",
            "disable_token_authorization": True, "enable_model_api": True,
            "default_workers_per_model": 1, "no_config_snapshots": True,
            "loop_stall_warning_ms": STALL_MS, "build_engines": False, **settings,
        }
        self._start(environment, files)
        if wait:
            self.wait_ready()

    def _start(self, environment, files=None):
        """`files`: the soft and the hard limit of open files; None: ours."""
        command = [str(BIN / "sconce"), "serve", *arguments(self.settings)]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("TS_", "SCONCE_"))}
        if "SCONCE_PYTHON_PATH" in os.environ:
            env["SCONCE_PYTHON_PATH"] = os.environ["SCONCE_PYTHON_PATH"]
        env.update({MARK: self.mark, "PYTHONDONTWRITEBYTECODE": "1",
                    "XDG_CACHE_HOME": str(self.root / "cache"), **(environment or {})})
        self.console_path = self.root / "console.log"
        with open(self.console_path, "ab") as console:
            self.process = subprocess.Popen(command, cwd=self.root, env=env, stdout=console,
                                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                            preexec_fn=files and partial(
                                                resource.setrlimit, resource.RLIMIT_NOFILE, files))

    # ---- state ----

    @property
    def console(self):
        return self.console_path.read_text(errors="replace")

    def log(self, name):
        path = self.logs / name
        return path.read_text(errors="replace") if path.exists() else ""

    def logged(self, name, *texts):
        """The log once `texts` are in it: lines are written by a thread, so an answer may be here
        before they are."""
        return wait_for(texts, lambda: self.log(name))

    def said(self, *texts):
        """The console, likewise."""
        return wait_for(texts, lambda: self.console)

    def complaints(self):
        """What went wrong, by the console, without the access log."""
        lines = [line for line in self.console.splitlines() if " ACCESS_LOG - " not in line]
        return "\n".join([line for line in lines if " [INFO ] " not in line][-15:] or lines[-15:])

    def alive(self):
        return self.process.poll() is None

    def wait_ready(self):
        """Every model of the store has all its workers."""
        eventually(self._ready, lambda: "server ready:\n" + self.complaints(), 30)
        return self

    def _ready(self):
        assert self.alive(), f"exited with {self.process.returncode}:\n{self.complaints()}"
        try:
            versions = [v for m in self.models() for v in self.describe(m, "all")]
        except requests.ConnectionError:
            return False
        if self.settings["load_models"] == "all":
            expected = sum(map(is_model, self.store.iterdir()))
        else:
            expected = len([m for m in (self.settings["load_models"] or "").split(",") if m])
        return len(versions) >= expected and all(map(version_ready, versions))

    def models(self):
        return [m["modelName"] for m in self.manage("GET", "/models").json()["models"]]

    def model_ready(self, name):
        """False, too, while its archive is being unpacked and it is not there yet."""
        return name in self.models() and all(map(version_ready, self.describe(name, "all")))

    def knows(self, name):
        try:
            return name in self.models()
        except requests.ConnectionError:
            return False

    def answers(self):
        try:
            return self.get("/livez").status_code == 200
        except requests.ConnectionError:
            return False

    def describe(self, name, version=""):
        response = self.manage("GET", f"/models/{name}" + (f"/{version}" if version else ""))
        assert response.status_code == 200, response.text
        return response.json()

    def worker_pids(self, name):
        return [w["pid"] for w in self.describe(name)[0]["workers"]
                if w["status"] == "READY" and w["pid"] > 0]

    def metric(self, name, **labels):
        """The sum of the samples that have these labels."""
        total, found = 0.0, False
        for line in self.metrics_text().splitlines():
            match = re.match(re.escape(name) + r"(?:\{(.*)\})? (\S+)$", line)
            have = dict(re.findall(r'(\w+)="([^"]*)"', match.group(1) or "")) if match else {}
            if match and all(have.get(k) == v for k, v in labels.items()):
                total, found = total + float(match.group(2)), True
        assert found, f"no sample of {name} {labels}"
        return total

    def metrics_text(self):
        return requests.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=PATIENCE).text

    def unpacked(self):
        """Folders of the archives that are unpacked now."""
        return list((self.root / "tmp" / "models").glob("sconce-*/*"))

    # ---- calls ----

    def raw(self, **options):
        return Raw(self.inference, **options)

    def call(self, method, path, **options):
        return requests.request(method, f"http://127.0.0.1:{self.inference}{path}",
                                timeout=PATIENCE, **options)

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def predict(self, model, data=None, **options):
        return self.call("POST", f"/predictions/{model}", data=data, **options)

    def manage(self, method, path, **options):
        return requests.request(method, f"http://127.0.0.1:{self.management}{path}",
                                timeout=2 * PATIENCE, **options)

    def register(self, url, **parameters):
        return self.manage("POST", "/models", params={"url": str(url), **parameters})

    # ---- the end ----

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=30):
        return self.process.wait(timeout)

    def stop(self):
        """SIGTERM must end it cleanly, with nothing left behind."""
        if self.ended:
            return
        self.ended = True
        if self.alive():
            self.signal(signal.SIGTERM)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            text = f"still runs 30 s after SIGTERM:\n{self.complaints()}"
            raise AssertionError(text) from None
        self.check_console()
        assert code == 0, f"exit code {code}:\n{self.complaints()}"
        self.check_leftovers()

    def check_console(self):
        complaint = SANITIZER.search(self.console_path.read_bytes())
        assert not complaint, self.console[complaint.start():][:4000]
        assert not self.stalls(), "\n".join(self.stalls())

    def stalls(self):
        """Lines about callbacks that kept the loop too long, other processes' CPU time aside.

        A machine that is short of CPUs or memory stops any callback once in a while, for a moment:
        one is to blame that does it for long, or again."""
        found = [(int(m[2]), m[3], line) for line in self.console.splitlines()
                 if (m := STALL.search(line)) and int(m[2]) > STALL_MS]
        names = [name for _, name, _ in found]
        return [line for ms, name, line in found
                if ms > STALL_SURE_MS or names.count(name) > 1]

    def check_leftovers(self):
        try:
            eventually(lambda: not marked_processes(self.mark), "no process is left", 5)
        except AssertionError:
            left = marked_processes(self.mark)
            for pid, _ in left:
                os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"processes left behind: {left}") from None

    def kill(self):
        self.ended = True
        if self.alive():
            self.process.kill()
            self.process.wait()
        for pid, _ in marked_processes(self.mark):
            os.kill(pid, signal.SIGKILL)


def version_ready(version):
    ready = [w for w in version["workers"] if w["status"] == "READY"]
    return len(ready) >= version["minWorkers"]


def is_model(path):
    name = path.name
    return not name.startswith(".") and (
        path.is_dir() or name.endswith((".mar", ".model", ".tar.gz", ".tgz")))


def error_text(code, kind, message):
    """The error document, byte for byte."""
    return "{\n" + f'  "code": {code},\n  "type": {json.dumps(kind)},\n' + \
        f'  "message": {json.dumps(message, ensure_ascii=False)}\n' + "}\n"


def assert_error(response, code, kind, message):
    status = getattr(response, "status_code", None) or response.status
    assert (status, response.text) == (code, error_text(code, kind, message))


def status_text(message):
    return '{\n  "status": ' + json.dumps(message, ensure_ascii=False) + "\n}\n"


def assert_status(response, code, message):
    assert (response.status_code, response.text) == (code, status_text(message))
