# SPDX-License-Identifier: Apache-2.0
"""A wheel is installed into an empty environment, used there, and uninstalled."""

from pathlib import Path

import pytest

from e2e.server import Server

from wheel.environment import Environment, files, run


@pytest.fixture(scope="module", params=["from_source", "portable"])
def environment(request, tmp_path_factory):
    wheel = request.getfixturevalue(request.param)
    return Environment(tmp_path_factory.mktemp("environment") / "env").install(wheel)


def test_commands(environment, tmp_path):
    assert run(environment.bin / "sconce", "--version").startswith("sconce ")
    assert run(environment.bin / "torchserve", "--version") == "TorchServe Version is 0.12.0\n"
    completion = environment.root / "share" / "sconce" / "completion" / "sconce.bash"
    assert "complete -F _sconce sconce" in completion.read_text()
    (tmp_path / "link").symlink_to(environment.bin / "torch-model-archiver")
    assert run(tmp_path / "link", "--help").startswith("usage: torch-model-archiver ")


def test_engines_bring_what_is_built_later(environment):
    shim = environment.root / "share" / "sconce" / "engines" / "torch" / "shim"
    assert {"shim.cpp", "shim.h"} <= {path.name for path in shim.iterdir()}
    assert (shim / "sconce" / "engine.h").exists()


def test_packages_without_a_server(environment, tmp_path):
    """`import ts` works, and is an installed TorchServe's where there is one."""
    script = "import ts, sconce; print(ts.__file__)"
    ours = Path(run(environment.bin / "python", "-c", script, cwd=tmp_path).strip())
    assert ours.parent == environment.root / "share" / "sconce" / "python" / "ts"
    with environment.torchserve("") as theirs:
        assert run(environment.bin / "python", "-c", script, cwd=tmp_path).strip() == str(theirs)


def test_an_archive_is_served(environment, tmp_path, monkeypatch):
    """With the environment's own Python, and our `ts` for handlers whatever else is installed."""
    (tmp_path / "h.py").write_text(
        "import sys, ts.context\n"
        "def handle(data, context):\n"
        "    return [sys.prefix] * len(data or ())\n")
    (tmp_path / "store").mkdir()
    # From a script: what the command makes, tests of the command say.
    run(environment.bin / "python", "-c",
        "from model_archiver import ModelArchiver, ModelArchiverConfig as Config\n"
        "config = Config('m', 'h:handle', '1.0', export_path='store')\n"
        "ModelArchiver.generate_model_archive(config)", cwd=tmp_path)
    monkeypatch.setattr("e2e.server.BIN", environment.bin)
    monkeypatch.delenv("SCONCE_PYTHON_PATH", raising=False)
    with environment.torchserve("raise ImportError('the wrong one')\n"):
        server = Server(tmp_path, python=None)
        try:
            assert server.predict("m", b"x").text == str(environment.root)
        finally:
            server.stop()


def test_fixtures_for_pytest(environment):
    """pytest finds them by itself, by the module's name."""
    found, = environment.root.glob("lib/python3*/site-packages/sconce-*.dist-info/entry_points.txt")
    assert "[pytest11]\nsconce.testing = sconce.testing\n" in found.read_text()
    templates = environment.root / "share" / "sconce" / "python" / "sconce" / "templates"
    assert (templates / "text" / "handler.py").exists()


def test_uninstalling_leaves_nothing(environment):
    environment.pip("uninstall", "--yes", "sconce")
    assert files(environment.root) - environment.before == set()
