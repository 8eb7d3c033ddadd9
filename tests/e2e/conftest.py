# SPDX-License-Identifier: Apache-2.0
"""Fixtures: servers that are stopped and checked when their test or module is over."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

pytest.register_assert_rewrite("e2e.server", "e2e.client", "e2e.gate")

from e2e.gate import Gate                       # noqa: E402
from e2e.runtimes import folders_of_packages  # noqa: E402
from e2e.server import BIN, PYTHON, Server      # noqa: E402
from e2e.shell import Shell                     # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "torch: needs torch in the handlers' Python")
    config.addinivalue_line("markers", "engines: needs runtimes of engines in a Python of theirs")


def has_torch():
    probe = [PYTHON, "-c", "import importlib.util as u, sys; sys.exit(not u.find_spec('torch'))"]
    return subprocess.run(probe, check=False).returncode == 0


def pytest_collection_modifyitems(items):
    if not any(item.get_closest_marker("torch") for item in items) or has_torch():
        return
    for item in items:
        if item.get_closest_marker("torch"):
            item.add_marker(pytest.mark.skip(reason="the handlers' Python has no torch"))


@pytest.fixture(scope="session")
def python():
    """The one that has runtimes of engines."""
    path = os.environ.get("SCONCE_E2E_ENGINES_PYTHON")
    if not path or not Path(path).exists():
        pytest.skip("SCONCE_E2E_ENGINES_PYTHON names no Python that has runtimes of engines")
    return path


@pytest.fixture(scope="session")
def packages(python):
    return folders_of_packages(python)


@contextlib.contextmanager
def server_factory(make_root):
    running = []

    def start(**options):
        assert (BIN / "sconce").exists(), f"no executable in {BIN}; set SCONCE_BIN_DIR"
        root = options.pop("root", None) or make_root()
        server = Server.__new__(Server)
        running.append(server)
        server.__init__(root, **options)
        return server

    failures = []
    try:
        yield start
    finally:
        for server in reversed(running):
            try:
                server.stop()
            except AssertionError as e:
                failures.append(str(e))
            except AttributeError:
                pass   # it never got as far as having a process
            else:
                continue
            with contextlib.suppress(AttributeError):
                server.kill()
    assert not failures, "\n".join(failures)


@pytest.fixture
def serve(tmp_path_factory):
    """Starts servers for one test."""
    with server_factory(lambda: tmp_path_factory.mktemp("server")) as start:
        yield start


@pytest.fixture(scope="module")
def module_serve(tmp_path_factory):
    """Starts servers that the tests of a module share."""
    with server_factory(lambda: tmp_path_factory.mktemp("server")) as start:
        yield start


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("module")


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path)


@pytest.fixture
def shell(tmp_path):
    s = Shell(tmp_path)
    yield s
    s.clean()
