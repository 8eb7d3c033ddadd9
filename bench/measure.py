# SPDX-License-Identifier: Apache-2.0
"""Puts load on a server and counts: answers, failures, latency, CPU, and what else was running."""

import json
import os
import resource
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
SCONCE = Path(os.environ.get("SCONCE_BIN_DIR", ROOT / "build" / "bin")) / "sconce"
CORES = os.cpu_count() or 1
DISTURBED = 0.08    # share of the machine that others may use during a measurement


def machine_cpu():
    """Seconds that all processes of the machine have used."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    user, nice, system = (int(field) for field in fields[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def client_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Meter:
    """CPU of the server and of everybody who is neither server nor client, over a `with` block."""

    def __init__(self, server):
        self.server_at = server
        self.server = self.others = 0.0

    def read(self):
        return self.server_at.cpu(), machine_cpu(), client_cpu()

    def __enter__(self):
        self.before = self.read()
        return self

    def __exit__(self, *error):
        server, machine, client = (b - a for a, b in zip(self.before, self.read()))
        self.server = server
        self.others = max(0.0, machine - server - client)


def run_client(command):
    """The JSON of the last line that a client prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # 1: some answers were failures, which are counted.
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(f"{command[0]} failed: {(done.stderr or done.stdout)[-500:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def calm(server, measure, tries=3):
    """Measures again while others use too much of the machine; the last try counts."""
    for _ in range(tries):
        result = measure()
        server.settle()
        if not result["disturbed"]:
            break
    return result


def closed_loop(server, path, body, clients, seconds, threads=1, kinds=()):
    """wrk: `clients` connections that ask again as soon as they have an answer.

    `kinds`: the Content-Type, and the Accept."""
    command = ["wrk", f"-t{threads}", f"-c{clients}", f"-d{seconds}s", "--timeout", "10s",
               "-s", str(BENCH / "load.lua"), server.url(path), "--"]
    command += [str(body)] if body else []
    command += kinds
    with Meter(server) as meter:
        result = run_client(command)
    answered = max(1, result["requests"] - result["failed"])
    return {"rate": answered / result["seconds"], "failed": result["failed"],
            "cpu": 1000 * meter.server / answered, "p50": result["p50_ms"],
            "p99": result["p99_ms"],
            "disturbed": meter.others > DISTURBED * CORES * result["seconds"]}


def open_loop(server, path, body, rate, seconds, connections=64):
    """Requests at a fixed rate; latency from when each was due."""
    model = path.rsplit("/", 1)[-1]
    with Meter(server) as meter:
        result = run_client([
            str(SCONCE), "bench", model, str(body), "--json", "--rate", str(rate), "--seconds",
            str(seconds), "--warm-up", "0", "--connections", str(connections), "--content-type",
            "application/octet-stream", "--address", server.url("")])
    return {"p50": result["p50_ms"], "p99": result["p99_ms"],
            "failed": result["failed"] + result["unanswered"],
            "disturbed": meter.others > DISTURBED * CORES * seconds}
