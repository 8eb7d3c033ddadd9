#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Serves an image classifier from a model archive, asks it what is on a photograph, and stops.

The archive is made by build/bin/torch-model-archiver with TorchServe's `image_classifier` handler:
nothing in it knows of this server.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from processes import free_ports, pss_mib, tree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples" / "image"))

import make_model  # noqa: E402

BIN = Path(os.environ.get("SCONCE_BIN_DIR", ROOT / "build" / "bin"))
CACHE = ROOT / ".cache" / "demo"
MODEL = "efficientnet"
PATIENCE = 60


def relative(path):
    return str(Path(path).relative_to(ROOT))


def pack(assets, store):
    """Makes store/efficientnet.mar as a TorchServe user would."""
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir(parents=True)
    command = [str(BIN / "torch-model-archiver"), "--model-name", MODEL, "--version", "1.0",
               "--serialized-file", str(assets.model), "--handler", "image_classifier",
               "--extra-files", str(assets.names), "--export-path", str(store)]
    subprocess.run(command, check=True)


class Server:
    """The server on ports of its own, with a store of its own."""

    def __init__(self, store, logs):
        self.inference, self.management, self.metrics = free_ports(3)
        self.console = logs.parent / "console.log"
        addresses = {"inference": self.inference, "management": self.management,
                     "metrics": self.metrics}
        command = [str(BIN / "sconce"), "serve", "--model-store", str(store),
                   "--load-models", f"{MODEL}.mar", "--default-workers-per-model", "1",
                   "--disable-token-authorization", "true", "--no-config-snapshots", "true",
                   "--log-location", str(logs), "--python", sys.executable]
        for name, port in addresses.items():
            command += [f"--{name}-address", f"http://127.0.0.1:{port}"]
        self.began = time.monotonic()
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(command, cwd=logs.parent, stdin=subprocess.DEVNULL,
                                            stdout=console, stderr=console, start_new_session=True)

    def ask(self, port, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ready(self):
        """True once a worker has loaded the model."""
        try:
            status, body = self.ask(self.management, "GET", f"/models/{MODEL}")
        except OSError:
            return False
        workers = json.loads(body)[0]["workers"] if status == 200 else []
        return any(worker["status"] == "READY" for worker in workers)

    def wait_ready(self):
        pause = threading.Event()
        while not self.ready():
            if self.process.poll() is not None:
                self.fail(f"ended with exit code {self.process.returncode}")
            if time.monotonic() - self.began > PATIENCE:
                self.fail(f"has no worker after {PATIENCE} s")
            pause.wait(0.005)
        return time.monotonic() - self.began

    def memory(self):
        """MiB of the front and of the workers."""
        pids = tree(self.process.pid)
        return pss_mib(pids[:1]), pss_mib(pids[1:])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def fail(self, what):
        self.process.kill()
        lines = self.console.read_text(errors="replace").splitlines(keepends=True)
        sys.stderr.writelines([line for line in lines if " ACCESS_LOG " not in line][-30:])
        sys.exit(f"demo: the server {what}")


def show(answer, milliseconds, tries):
    for name, probability in sorted(json.loads(answer).items(), key=lambda item: -item[1]):
        print(f"  {100 * probability:5.1f} %  {name.replace('_', ' ')}")
    again = sorted(tries)[len(tries) // 2]
    print(f"Answered in {milliseconds:.0f} ms the first time, {again:.0f} ms once warm.")


def ask(server, photo):
    """Posts the photograph and prints what came back."""
    path = f"/predictions/{MODEL}"
    times = []
    for _ in range(6):
        began = time.monotonic()
        status, answer = server.ask(server.inference, "POST", path, photo.read_bytes())
        times.append(1000 * (time.monotonic() - began))
        if status != 200:
            server.fail(f"answered {status}: {answer.decode('utf-8', 'replace')}")
    show(answer, times[0], times[1:])


def tell_kept(server, photo):
    """Where it is, and what to try next."""
    sconce = relative(BIN / "sconce") if BIN.is_relative_to(ROOT) else BIN / "sconce"
    inference, management, metrics = (f"http://127.0.0.1:{port}" for port in (
        server.inference, server.management, server.metrics))
    return f"""It goes on serving:
  inference   {inference}
  management  {management}
  metrics     {metrics}/metrics

Next, try:
  {sconce} call {MODEL} {relative(photo)} --address {inference}
  {sconce} bench {MODEL} {relative(photo)} --address {inference}
  {sconce} models describe {MODEL} --address {management}

To stop it:  kill {server.process.pid}"""


def run(keep):
    assets = make_model.prepare(CACHE)
    folder = CACHE / "run"
    store, logs = folder / "store", folder / "logs"
    pack(assets, store)
    print(f"Packed {relative(store / MODEL)}.mar, starting the server.")
    server = Server(store, logs)
    try:
        print(f"The model was ready after {server.wait_ready():.1f} s. Asking what is on "
              f"{relative(assets.photo)}:")
        print(f"\n  curl -T {relative(assets.photo)} "
              f"http://127.0.0.1:{server.inference}/predictions/{MODEL}\n")
        ask(server, assets.photo)
        front, workers = server.memory()
        print(f"Memory: the server {front:.0f} MiB, its worker and torch {workers:.0f} MiB.")
    except BaseException:
        server.process.kill()
        raise
    if keep:
        print(tell_kept(server, assets.photo))
        return 0
    code = server.stop()
    print("Stopped cleanly." if code == 0 else f"The server stopped with exit code {code}.")
    return 1 if code else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave the server running")
    return run(parser.parse_args().keep)


if __name__ == "__main__":
    sys.exit(main())
