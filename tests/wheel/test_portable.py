# SPDX-License-Identifier: Apache-2.0
"""The wheel of `make wheel` needs Python and the C library, of the version that its name says."""

import platform
import re
import zipfile

import pytest

from e2e.server import Server
from wheel.binary import name_of, needs_only_the_c_library, newest_symbol, unpacked
from wheel.environment import Environment, run
from wheel.root import Root, namespace



def test_no_library_but_the_c_library(portable, tmp_path):
    needs_only_the_c_library(unpacked(portable, tmp_path))


def test_its_name_is_true(portable, tmp_path):
    machine, library = name_of(portable)
    assert machine == platform.machine()
    assert newest_symbol(unpacked(portable, tmp_path)) <= library


def test_licences_of_what_is_inside(portable):
    with zipfile.ZipFile(portable) as archive:
        name, = (n for n in archive.namelist() if n.endswith("/sconce/third-party-licences.txt"))
        titles = re.findall(r"^==> (.*) <==$", archive.read(name).decode(), re.M)
    for library in ("llhttp", "yyjson", "libuv", "libyaml", "libarchive", "zlib", "nettle", "lzma",
                    "zstd", "bz2"):
        assert [t for t in titles if library in t], library


@pytest.fixture
def enter(tmp_path, tmp_path_factory):
    """Makes an environment with a wheel, in a root that has nothing else but the test's folder."""
    if not namespace():
        pytest.skip("no mount namespaces for this user")

    def make(wheel):
        environment = Environment(tmp_path / "env", "--copies").install(wheel)
        folder = tmp_path_factory.mktemp("root")
        return Root(folder, environment.bin / "python", tmp_path), environment
    return make


def test_an_empty_container(enter, portable, tmp_path, monkeypatch):
    """Pack an archive, serve it, ask it: no shell, no library of Debian, no compiler."""
    root, environment = enter(portable)
    sconce = environment.bin / "sconce"
    assert run(*root.command(sconce, "--version")).startswith("sconce ")
    assert run(*root.command(sconce, "torchserve", "--version")).startswith("TorchServe Version ")

    (tmp_path / "h.py").write_text(
        "import os, sys, ts.context\n"
        "def handle(data, context):\n"
        "    return [{'prefix': sys.prefix, 'root': os.listdir('/')}] * len(data or ())\n")
    (tmp_path / "store").mkdir()
    run(*root.command(sconce, "archive", "--model-name", "m", "--version", "1.0", "--handler",
                      tmp_path / "h.py", "--export-path", tmp_path / "store"))

    root.script(tmp_path / "bin" / "sconce", sconce)
    monkeypatch.setattr("e2e.server.BIN", tmp_path / "bin")
    monkeypatch.delenv("SCONCE_PYTHON_PATH", raising=False)
    server = Server(tmp_path, python=None)
    try:
        answer = server.predict("m", b"x").json()
        assert answer["prefix"] == str(environment.root)
        assert sorted(answer["root"]) == sorted(p.name for p in root.folder.iterdir())
    finally:
        server.stop()


def test_the_container_is_empty(enter, from_source):
    """What uses libraries of this machine does not even start in it."""
    root, environment = enter(from_source)
    with pytest.raises(AssertionError, match="error while loading shared libraries"):
        run(*root.command(environment.bin / "sconce", "--version"))
