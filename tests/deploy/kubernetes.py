# SPDX-License-Identifier: Apache-2.0
"""The chart as Helm renders it, and what Kubernetes would say of it."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/sconce"
VALUES = ROOT / "deploy/helm/values"
TOOLS = ROOT / ".cache/kubernetes/bin"
VALIDATOR = ROOT / ".venv-deploy/bin/python"
HOME = "/home/model-server"    # tidy: allow machine: a place in the image
# The oldest that Chart.yaml allows, one of today, and the newest whose schemas are there.
OLDEST, TODAY, NEWEST = "1.27", "1.33", "1.37"


def tool(name):
    """The path of helm or kubectl."""
    path = TOOLS / name
    if not path.exists() and platform.machine() != "x86_64":
        pytest.skip(f"{name} comes in a package for x86_64 only, and this is {platform.machine()}")
    assert path.exists(), f"{name} is missing: tools/setup.sh test"
    return path


def run(command, **options):
    """Without anything of the user's: no cluster, no repositories."""
    home = os.environ["TMPDIR"]
    environment = {"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home,
                   "KUBECONFIG": f"{home}/none"}
    return subprocess.run([str(word) for word in command], env=environment, text=True, timeout=60,
                          capture_output=True, **{"stdin": subprocess.DEVNULL, **options})


def helm(*words, **options):
    return run([tool("helm"), *words], **options)


def rendering(values=None, files=(), release="shop", version=TODAY, more=()):
    """`helm template` with values: a dictionary over files."""
    command = ["template", release, CHART, "--namespace", "models", "--kube-version", version]
    for file in files:
        command += ["--values", file]
    return helm(*command, *more, "--values", "-", stdin=None, input=json.dumps(values or {}))


def render(values=None, files=(), **options):
    """The objects, in order."""
    done = rendering(values, files, **options)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def refused(values, files=()):
    """What Helm says of values that it does not take."""
    done = rendering(values, files)
    assert done.returncode != 0, "it was rendered"
    return done.stderr


def one(objects, kind, suffix=""):
    found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1, f"{kind}: {[o['metadata']['name'] for o in found]}"
    return found[0]


def kinds(objects):
    return {o["kind"] for o in objects}


def workload(objects):
    return next(o for o in objects if o["kind"] in ("Deployment", "StatefulSet"))


def pod(objects):
    return workload(objects)["spec"]["template"]["spec"]


def complaints(objects, *versions):
    """What the schemas of these versions of Kubernetes find, and those of resources of others."""
    done = subprocess.run(
        [str(VALIDATOR), str(Path(__file__).with_name("validate.py")), *versions],
        input=json.dumps(objects), text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def python_of_tests():
    return sys.executable
