# SPDX-License-Identifier: Apache-2.0
"""A machine of Debian with systemd, in namespaces of its own: nothing of it is this machine's but
its kernel. What it does is done by systemd itself, unit files and all."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from e2e.server import eventually

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAMESPACES = ["--pid", "--fork", "--kill-child", "--mount", "--ipc", "--uts", "--cgroup", "--net"]
PACKAGES = ["systemd", "systemd-sysv", "python3", "curl"]


def why_not():
    """A reason why there can be none here, or None."""
    for tool in ("mmdebstrap", "unshare", "nsenter"):
        if not shutil.which(tool):
            return f"no {tool} here"
    if os.getuid() != 0:
        return "only root can make a machine"
    done = subprocess.run(["unshare", *NAMESPACES, "mount", "-t", "proc", "proc", "/proc"],
                          capture_output=True, text=True, check=False)
    return f"no namespaces here: {done.stderr.strip()}" if done.returncode else None


class Machine:
    """Made with `package`, a .deb that is installed with all that it depends on."""

    def __init__(self, folder, package):
        self.root = folder / "root"
        self.log = folder / "machine.log"
        self.unshare = None
        self.run_here(ROOT / "tools/debian_root.sh", self.root, "--mode=root",
                      "--variant=minbase", f"--include={','.join([*PACKAGES, str(package)])}",
                      "--hook-dir=/usr/share/mmdebstrap/hooks/file-mirror-automount")

    def run_here(self, *command):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600,
                              check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def boot(self):
        with open(self.log, "wb") as log:
            self.unshare = subprocess.Popen(
                ["unshare", *NAMESPACES, "bash", str(HERE / "boot.sh"), str(self.root)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, env={**os.environ, "TMPDIR": str(self.log.parent)})
        eventually(self.init, lambda: self.log.read_text(errors="replace"), timeout=60)
        eventually(lambda: self.ask("systemctl", "is-system-running") in ("running", "degraded"),
                   lambda: self.log.read_text(errors="replace"), timeout=60)

    def init(self):
        """The first process of the machine, as it is called here; None: not yet, or no more."""
        path = Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children")
        children = path.read_text().split() if path.exists() else []
        return int(children[0]) if children else None

    def enter(self, *command):
        init = self.init()
        assert init, self.log.read_text(errors="replace")
        return subprocess.run(
            ["nsenter", "-t", str(init), *"-p -m -i -u -n -C -r -w env -i".split(),
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *map(str, command)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)

    def ask(self, *command):
        """What a command prints, whatever its exit code."""
        return self.enter(*command).stdout.strip()

    def do(self, *command):
        done = self.enter(*command)
        assert done.returncode == 0, done.stdout + done.stderr + self.ask(
            "journalctl", "--no-pager", "-n", "40")
        return done.stdout

    def destroy(self):
        if self.unshare:
            self.unshare.send_signal(signal.SIGKILL)    # and --kill-child its first process
            self.unshare.wait(20)
