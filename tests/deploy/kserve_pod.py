#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A container of KServe's, without containers: in namespaces of its own, so that /mnt/models and
port 8080 are those of the real one.

    unshare --net --pid --fork --kill-child --mount-proc kserve_pod.py <description.json

The description: {"models": folder, "work": folder, "command", "environment", "requests": [{"path",
"body", "port"}]}. Prints JSON: {"answers": [[status, text]], "code", "log"}.
"""

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

PATIENCE_S = 40


def ask(path, body=None, port=8080):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}",
                                     data=body and json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
    except OSError as error:
        return [0, str(error)]


def mount(folder):
    """Our /mnt/models is read-only, as KServe mounts it."""
    for command in (["mount", "-t", "tmpfs", "none", "/mnt"], ["mkdir", "/mnt/models"],
                    ["mount", "--bind", folder, "/mnt/models"],
                    ["mount", "-o", "remount,bind,ro", "/mnt/models"],
                    ["ip", "link", "set", "lo", "up"]):
        subprocess.run(command, check=True, stdout=sys.stderr)


def ready(process):
    """What kubelet does until the Pod is ready."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up and process.poll() is None:
        if ask("/readyz")[0] == 200:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)


def main():
    what = json.load(sys.stdin)
    mount(what["models"])
    log = f"{what['work']}/log"
    with open(log, "wb") as out:
        process = subprocess.Popen(what["command"], env=what["environment"], cwd=what["work"],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    ready(process)
    answers = [ask(**request) for request in what["requests"]]
    process.terminate()
    try:
        code = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = "it did not end"
    with open(log, errors="replace") as text:
        json.dump({"answers": answers, "code": code, "log": text.read()}, sys.stdout)


if __name__ == "__main__":
    main()
