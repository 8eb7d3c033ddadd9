# SPDX-License-Identifier: Apache-2.0
"""The wheel of `make wheel` needs Python and the C library, of the version that its name says."""

import re
import subprocess
import zipfile

import pytest

from e2e.server import Server
from wheel.environment import Environment, run
from wheel.root import Root, namespace

C_LIBRARY = re.compile(r"(lib(c|m|dl|rt|pthread|resolv|util)\.so\.\d|ld-linux[\w-]*\.so\.\d)$")
NAME = re.compile(r"sconce-[\d.]+-py3-none-manylinux_2_(\d+)_(x86_64|aarch64)\.whl")


@pytest.fixture(scope="module")
def executable(portable, tmp_path_factory):
    with zipfile.ZipFile(portable) as archive:
        name, = (n for n in archive.namelist() if n.endswith(".data/scripts/sconce"))
        return archive.extract(name, tmp_path_factory.mktemp("wheel"))


def readelf(option, executable):
    return subprocess.run(["readelf", "--wide", option, executable], capture_output=True, text=True,
                          check=True).stdout


def test_no_library_but_the_c_library(executable):
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("--dynamic", executable))
    assert needed and [name for name in needed if not C_LIBRARY.match(name)] == []
    assert not re.search(r"\((RPATH|RUNPATH)\)", readelf("--dynamic", executable))


def test_its_name_is_true(portable, executable):
    match = NAME.fullmatch(portable.name)
    assert match, portable.name
    wanted = set(map(int, re.findall(r"GLIBC_2\.(\d+)", readelf("--version-info", executable))))
    assert max(wanted) <= int(match[1])


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
