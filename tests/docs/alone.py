# SPDX-License-Identifier: Apache-2.0
"""Runs a page in a network and among processes of its own, so that its ports are the default ones
and nothing that it starts outlives it."""

import os
import subprocess
import sys

from docs.page import ROOT

BIN = os.environ.get("SCONCE_BIN_DIR", str(ROOT / "build" / "bin"))
APART = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
         *([] if os.geteuid() == 0 else ["--map-root-user"])]
# The shell is process 1 of them: it reaps what is left to it.
ALONE = [*APART, "sh", "-c", 'ip link set lo up && "$@"; exit $?', "sh"]
TIMEOUT = 840


def why_not_alone():
    """None, or why this machine cannot run pages."""
    done = subprocess.run([*ALONE, "true"], capture_output=True, text=True)
    return f"no namespaces here: {done.stderr.strip()}" if done.returncode else None


def run_alone(page, folder):
    """What has ended; what the page's commands keep is in `folder`."""
    command = [*ALONE, sys.executable, str(ROOT / "tests/docs/page.py"), "--bin", BIN, str(page)]
    return subprocess.run(command, env={**os.environ, "TMPDIR": str(folder)}, cwd=folder, text=True,
                          timeout=TIMEOUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
