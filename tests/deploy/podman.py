# SPDX-License-Identifier: Apache-2.0
"""Containers in a storage of the test's own: nothing of the machine's podman is read or written."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from e2e.server import eventually

ROOT = Path(__file__).resolve().parents[2]
HOME = "/home/model-server"     # tidy: allow machine: a place in the image
NEEDED = ["podman", "buildah", "mmdebstrap", "runc"]
BUILD_S, COMMAND_S = 900, 120

STORAGE = """\
[storage]
driver = "{driver}"
graphroot = "{root}/graph"
runroot = "{root}/run"
"""

# No systemd, no journal, cgroups of both versions, and limits of open files that a container may
# not raise: machines for tests are often like that. For Pods podman 4.3 mixes up the soft limit and
# the hard one, so they are equal.
ENGINE = """\
[containers]
cgroupns = "private"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
lock_type = "file"
static_dir = "{root}/static"
tmp_dir = "{root}/tmp"
volume_path = "{root}/volumes"
"""


def missing():
    """What has to be installed first; empty: nothing."""
    return [tool for tool in NEEDED if not shutil.which(tool)]


def storage_driver(folder):
    """vfs works everywhere; overlay does not copy an image for each container."""
    places = [folder / name for name in ("lower", "upper", "work", "merged")]
    for place in places:
        place.mkdir()
    lower, upper, work, merged = places
    done = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "overlay", "overlay", "-o",
         f"lowerdir={lower},upperdir={upper},workdir={work}", merged], env={
             **os.environ, "TMPDIR": str(folder)}, capture_output=True, timeout=COMMAND_S)
    return "vfs" if done.returncode else "overlay"


class Failed(AssertionError):
    """A command of podman that did not end well; its words are the text."""


class Podman:
    """Each call is a command: podman("ps", "-a"). close() ends all there is, and frees the disk."""

    def __init__(self):
        # Short: the path of a socket is made from it.
        self.root = Path(tempfile.mkdtemp(prefix="sconce-podman-"))
        self.driver = storage_driver(self.root)
        self.environment = {
            **{k: v for k, v in os.environ.items()
               if not k.startswith(("TS_", "SCONCE_"))},
            "CONTAINERS_CONF": str(self.file("containers.conf", ENGINE)),
            "CONTAINERS_STORAGE_CONF": str(self.file("storage.conf", STORAGE)),
            "CONTAINERS_REGISTRIES_CONF": str(self.file("registries.conf", "")),
            "TMPDIR": str(self.root)}

    def file(self, name, text):
        path = self.root / name
        path.write_text(text.format(root=self.root, driver=self.driver))
        return path

    def __call__(self, *arguments, check=True, timeout=COMMAND_S, **options):
        """The finished process, with its output as text."""
        done = subprocess.run(["podman", *map(str, arguments)], env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, **options)
        if check and done.returncode:
            raise Failed(f"podman {' '.join(map(str, arguments))}: code {done.returncode}\n"
                         f"{done.stdout}{done.stderr}")
        return done

    def build(self, variant="core", build=None, **variables):
        """Builds sconce:<variant> from a build folder that is there; returns what was printed."""
        environment = {**self.environment, "BUILD": str(build or ROOT / "build"), **variables}
        done = subprocess.run([ROOT / "deploy/image/build.sh", variant], env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=BUILD_S)
        if done.returncode:
            raise Failed(f"build.sh {variant}: code {done.returncode}\n{done.stdout}")
        return done.stdout

    def run(self, image, *command, options=()):
        """Starts a container in the background, on the machine's network unless told otherwise."""
        network = [] if any(str(o).startswith("--net") for o in options) else ["--network", "host"]
        done = self("run", "--detach", *network, *options, image, *command)
        return Container(self, done.stdout.strip())

    def outcome(self, image, *command, options=()):
        """Runs a command to its end; returns its exit code and what it printed."""
        container = self.run(image, *command, options=["--network", "none", *options])
        code, text = container.wait(), container.logs()
        container.remove()
        return code, text

    def inspect(self, what):
        return json.loads(self("inspect", what).stdout)[0]

    def close(self):
        try:
            self("rm", "--all", "--force", "--time", 0, check=False)
            self("pod", "rm", "--all", "--force", "--time", 0, check=False)
        finally:
            shutil.rmtree(self.root, ignore_errors=True)


class Container:
    def __init__(self, podman, name):
        self.podman, self.name = podman, name

    def exec(self, *command, check=True, **options):
        return self.podman("exec", self.name, *command, check=check, **options)

    def logs(self):
        done = self.podman("logs", self.name)
        return done.stdout + done.stderr

    def state(self):
        return self.podman.inspect(self.name)["State"]

    def running(self):
        return self.state()["Running"]

    def stop(self, patience_s=60):
        """SIGTERM, and SIGKILL when patience ends. Returns (exit code, seconds)."""
        began = time.monotonic()
        self.podman("stop", "--time", patience_s, self.name)
        return self.state()["ExitCode"], time.monotonic() - began

    def wait(self):
        """Waits for its end; returns the exit code. Asks: where nobody reaps what podman leaves
        behind, its own waiting takes 20 s longer."""
        eventually(lambda: self.state()["Status"] in ("exited", "stopped"), self.logs)
        return self.state()["ExitCode"]

    def remove(self):
        self.podman("rm", "--force", "--time", 0, self.name, check=False)
