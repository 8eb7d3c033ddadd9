# SPDX-License-Identifier: Apache-2.0
"""The wheels, each built once."""

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


@pytest.fixture(scope="session")
def portable(tmp_path_factory):
    """What `make wheel` builds: it brings its libraries along."""
    dist = tmp_path_factory.mktemp("dist")
    run(REPOSITORY / "tools" / "wheel.sh", dist)
    wheel, = dist.glob("sconce-*.whl")
    return wheel
