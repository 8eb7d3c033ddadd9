# SPDX-License-Identifier: Apache-2.0
"""Processes in which user code and compilers run."""

import json
import os
import signal
import subprocess
import sys

from pathlib import Path

from sconce.optimize.failure import Failure, Unsuitable, sentence
from sconce.optimize.process import dies_with_us

BUILD_S = 1800


class Child:
    """Makes one at a time: its result, or why there is none."""

    def __init__(self, work):
        self.work = work

    def run(self, module, arguments, name):
        result = self.work / ("%s.json" % name)
        log = self.work / ("%s.log" % name)
        with open(log, "wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "sconce.optimize." + module, *arguments, str(result)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=self.work,
                start_new_session=True, preexec_fn=dies_with_us)
            try:
                child.wait(BUILD_S)
            except subprocess.TimeoutExpired:
                return {"error": "it was not ready after %d minutes" % (BUILD_S // 60)}
            finally:
                _end(child)
        if result.exists():
            return json.loads(result.read_text())
        return {"error": _death(child.returncode, log)}


def tell(result_path, make, what=""):
    """In such a process: what make() returns, or why it did not (`what`: before causes that nobody
    has written for people). It appears whole or not at all."""
    try:
        result = make()
    except (Failure, Unsuitable) as e:
        result = {"error": str(e)}
    except Exception as e:
        result = {"error": what + sentence(e)}
    temporary = result_path + ".part"
    Path(temporary).write_text(json.dumps(result))
    os.replace(temporary, result_path)


def _end(child):
    """The process and whatever it has started."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def _death(code, log):
    if code < 0:
        return "its process was ended by %s" % signal.Signals(-code).name
    lines = log.read_text(errors="replace").strip().split("\n")
    return "its process ended: %s" % (lines[-1][:300] or "exit code %d" % code)
