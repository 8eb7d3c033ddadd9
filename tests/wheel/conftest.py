# SPDX-License-Identifier: Apache-2.0
"""The wheels, each built once."""

import platform
from pathlib import Path

import pytest

from wheel.environment import pip, run

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def from_source(tmp_path_factory):
    """What `pip install .` builds: it uses the libraries of this machine."""
    dist = tmp_path_factory.mktemp("dist")
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir",
        "--wheel-dir", str(dist), str(REPOSITORY))
    wheel, = dist.glob("sconce-*.whl")
    return wheel


def made(dist, *prefix):
    run(*prefix, REPOSITORY / "tools" / "wheel.sh", dist)
    wheel, = dist.glob("sconce-*.whl")
    return wheel


@pytest.fixture(scope="session")
def portable(tmp_path_factory):
    """What `make wheel` builds: it brings its libraries along."""
    return made(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def portable_arm64(tmp_path_factory):
    """What `make wheel ARCH=arm64` builds on another architecture."""
    if platform.machine() != "x86_64":
        pytest.skip("arm64 is compiled for on x86-64 only; elsewhere it is this machine's own")
    return made(tmp_path_factory.mktemp("dist"), "env", "ARCH=arm64")
