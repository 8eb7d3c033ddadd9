# SPDX-License-Identifier: Apache-2.0
"""A root folder as an empty container has it: Python, the C library, and nothing else.

No shell, no command, no library that Python's own executable does without. A process in it sees
of this machine what is named here, bound in a mount namespace of its own, which ends with it.
"""

import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

ENTER = """
root=$1 && shift
while [ "$1" != -- ]; do mount --rbind "$1" "$root$1" && shift || exit 125; done
shift && exec chroot "$root" "$@"
"""


def namespace():
    """The command that makes a mount namespace, or None where this is not allowed."""
    command = ["unshare", "--mount"] + ([] if os.getuid() == 0 else ["--user", "--map-root-user"])
    done = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if done.returncode == 0 else None


def libraries(executable):
    """The files that the loader finds for an executable, and the loader."""
    listed = subprocess.run(["ldd", str(executable)], capture_output=True, text=True, check=True)
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", listed.stdout)]


class Root:
    """Python as the executable `python` has it. `seen` are the folders that are in it, too."""

    def __init__(self, folder, python, *seen):
        self.folder = folder
        stdlib = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
        self.seen = ["/proc", "/dev", *sorted(stdlib), *map(str, seen)]
        for path in self.seen:
            self.inside(path).mkdir(parents=True, exist_ok=True)
        for path in libraries(python):
            self.inside(path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self.inside(path))

    def inside(self, path):
        return self.folder / str(path).lstrip("/")

    def command(self, *command):
        """What runs a command in it, under the process id of who starts it."""
        return [*namespace(), "sh", "-c", ENTER, "sh", str(self.folder), *self.seen, "--",
                *map(str, command)]

    def script(self, path, executable):
        """A script of this machine that stands for an executable in it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec {shlex.join(self.command(executable))} "$@"\n')
        path.chmod(0o755)
