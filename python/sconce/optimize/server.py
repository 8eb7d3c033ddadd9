# SPDX-License-Identifier: Apache-2.0
"""A server with one model, on Unix sockets in a folder of its own."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from sconce.in_process import find_sconce
from sconce.optimize.failure import Unsuitable
from sconce.optimize.process import dies_with_us

START_S, LOAD_S, BENCH_MARGIN_S = 30, 300, 60


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=LOAD_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Server:
    def __init__(self, name, model_dir, device="cpu"):
        # Paths of sockets are short.
        self.root = Path(tempfile.mkdtemp(prefix="sconce-optimize-"))
        self.name = name
        self.inference, self.management = str(self.root / "i"), str(self.root / "m")
        store = self.root / "store"
        store.mkdir()
        os.symlink(model_dir, store / name)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("TS_", "SCONCE_"))
                       or k == "SCONCE_PYTHON_PATH"}
        with open(self.root / "output", "wb") as output:
            self.process = subprocess.Popen(
                [find_sconce(), "serve", "--inference-address", "unix:" + self.inference,
                 "--management-address", "unix:" + self.management, "--enable-metrics-api", "false",
                 "--model-store", str(store), "--load-models", "none", "--python", sys.executable,
                 "--log-location", str(self.root / "logs"), "--metrics-location",
                 str(self.root / "logs"), "--disable-token-authorization", "--enable-model-api",
                 "--no-config-snapshots", "--disable-system-metrics", "true",
                 "--max-request-size", "1g", "--max-response-size", "1g",
                 # What is for processors is measured on them, also where there is a GPU.
                 *(["--number-of-gpu", "0"] if device == "cpu" else [])],
                cwd=self.root, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, preexec_fn=dies_with_us)
        try:
            self._wait()
            self._manage("POST", "/models?url=%s&initial_workers=0" % name)
        except BaseException:
            self.stop()
            raise

    def _wait(self):
        end, pause = time.monotonic() + START_S, threading.Event()
        while True:
            try:
                return self._manage("GET", "/models")
            except (OSError, http.client.HTTPException):
                if self.process.poll() is not None or time.monotonic() > end:
                    raise Unsuitable("the server did not start: %s" % self._last()) from None
            pause.wait(0.02)

    def _last(self):
        lines = (self.root / "output").read_text(errors="replace").strip().split("\n")
        return lines[-1][:300]

    def _call(self, address, method, path, body=b"", **headers):
        """The body of the answer."""
        connection = _Connection(address)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v
                                                    for k, v in headers.items()})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            try:
                raise Unsuitable(json.loads(content)["message"])
            except (ValueError, KeyError, TypeError):
                raise Unsuitable("status %d" % answer.status) from None
        return content

    def _manage(self, method, path):
        return json.loads(self._call(self.management, method, path) or b"null")

    def describe(self):
        return self._manage("GET", "/models/" + self.name)[0]

    def predict(self, body, media_type, accept):
        return self._call(self.inference, "POST", "/predictions/" + self.name, body,
                          Content_Type=media_type, Accept=accept)

    def scale(self, workers):
        """Seconds until so many are ready."""
        began = time.monotonic()
        self._manage("PUT", "/models/%s?min_worker=%d&max_worker=%d&synchronous=true"
                     % (self.name, workers, workers))
        return time.monotonic() - began

    def memory(self):
        """Bytes that the workers take for themselves, and their shares of what they share."""
        return sum(_pss(pid) for pid in {w["pid"] for w in self.describe()["workers"]
                                         if w.get("pid", 0) > 0})

    def threads(self, workers):
        """That each worker computes with: as engines tell, or as the server divides them."""
        told = self.describe()["workers"][0].get("threads")
        return told or max(1, len(os.sched_getaffinity(0)) // workers)

    def uses_original(self):
        """Whether a worker has said so, and why."""
        log = self.root / "logs" / "model_log.log"
        for line in log.read_text(errors="replace").split("\n") if log.exists() else ():
            if "The optimized model is not used" in line:
                return line.partition("The optimized model is not used, the original is: ")[2]
        return None

    def bench(self, body, media_type, clients, seconds):
        """Figures of `sconce bench`."""
        done = subprocess.run(
            [find_sconce(), "bench", self.name, str(body), "--concurrency", str(clients),
             "--seconds", str(seconds), "--warm-up", "1", "--json", "--address",
             "unix:" + self.inference]
            + (["--content-type", media_type] if media_type else []),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=seconds + BENCH_MARGIN_S)
        try:
            figures = json.loads(done.stdout)
        except ValueError:
            raise Unsuitable("it cannot be measured: %s"
                             % done.stderr.decode(errors="replace").strip()[-200:]) from None
        wrong = figures["failed"] + figures["unanswered"] + figures["lost"]
        if wrong or not figures["requests"]:
            raise Unsuitable("%d of %d requests failed (statuses %s)" % (
                wrong, figures["requests"], ", ".join(figures["statuses"]) or "none"))
        return figures

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)


def _pss(pid):
    try:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            for line in f:
                if line.startswith("Pss:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 0
