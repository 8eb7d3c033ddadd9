# SPDX-License-Identifier: Apache-2.0
"""The wheel for arm64, made on x86-64. An emulator runs its commands, but no server: it has no
child subreapers, and knows nothing of what a server starts."""

import json

import pytest

from wheel.binary import machine_of, name_of, needs_only_the_c_library, newest_symbol, unpacked
from wheel.conftest import REPOSITORY
from wheel.environment import run

EMULATOR = ["qemu-aarch64", "-L", str(REPOSITORY / ".cache" / "arm64" / "root")]


@pytest.fixture(scope="module")
def sconce(portable_arm64, tmp_path_factory):
    return unpacked(portable_arm64, tmp_path_factory.mktemp("arm64"))


def test_its_name_is_true(portable_arm64, sconce):
    machine, library = name_of(portable_arm64)
    assert machine == "aarch64"
    assert newest_symbol(sconce) <= library


def test_all_of_it_is_for_arm64(sconce):
    root = sconce.parent.parent
    compiled = [path for path in root.rglob("*") if path.is_file()
                and path.read_bytes()[:4] == b"\x7fELF"]
    names = {path.name for path in compiled}
    assert {"sconce", "sconce-worker", "libsconce-image.so", "onnx.so"} <= names
    for path in compiled:
        assert machine_of(path) == "AArch64", path
    for name in ("sconce", "sconce-worker"):
        needs_only_the_c_library(sconce.parent / name)


def test_an_archive_goes_in_and_out(sconce, tmp_path):
    (tmp_path / "h.py").write_text("def handle(data, context):\n    return data\n")
    run(*EMULATOR, sconce, "archive", "--model-name", "m", "--version", "1.0", "--handler",
        tmp_path / "h.py", "--export-path", tmp_path)
    run(*EMULATOR, sconce, "unpack", "--source", tmp_path / "m.mar", "--into", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "MAR-INF" / "MANIFEST.json").read_text())
    assert manifest["model"]["modelName"] == "m"
    assert (tmp_path / "out" / "h.py").read_text() == (tmp_path / "h.py").read_text()


def test_its_settings(sconce, tmp_path):
    (tmp_path / "config.properties").write_text("job_queue_size=77\n")
    told = run(*EMULATOR, sconce, "settings", "--effective", cwd=tmp_path)
    line, = (line for line in told.splitlines() if line.startswith("job_queue_size"))
    assert "77" in line and "config.properties:1" in line
