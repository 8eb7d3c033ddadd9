# SPDX-License-Identifier: Apache-2.0
"""The example, and what all plug-ins and their header have to be."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from engines.engine import BUILD, EngineError, Raw

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.echo"
    path.write_text("anything")
    return path


@pytest.mark.parametrize("value", [
    np.arange(6, dtype="f4").reshape(2, 3), np.float64(0.5), np.zeros((0, 3), "i8"),
    np.array([True, False]), np.array([[b"a", b""], [b"\0\xff", b"b"]], object)])
@pytest.mark.parametrize("lend", [None, 0, 24, 100_000])
def test_what_goes_in_comes_out(echo, model, value, lend):
    output, = echo.run(model, value, lend=lend, instances=2, repeat=2)
    assert output.tolist() == np.asarray(value).tolist()
    assert output.shape == np.shape(value)


def test_bare_bytes(echo, model):
    result = echo.call(model, [Raw("BF16", (2,), b"\x80\x3f\0\0")])
    assert result.outputs()[0].tolist() == [1.0, 0.0]
    assert result.signature == {
        "inputs": [{"name": "input", "dtype": "ANY", "shape": None}],
        "outputs": [{"name": "output", "dtype": "ANY", "shape": None}], "batches": False}


def test_a_model_that_is_not_there(echo, tmp_path):
    with pytest.raises(EngineError, match="cannot open .*/none.echo") as error:
        echo.run(tmp_path / "none.echo", np.zeros(1))
    assert error.value.stage == "load"


# ---- the header ----

@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment whose pkg-config knows what `make install DESTDIR=` has put into a folder."""
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--tags", "devel", "--destdir",
                    root],
                   check=True, capture_output=True)
    description, = root.rglob("sconce-engine.pc")
    return {**os.environ, "PKG_CONFIG_PATH": str(description.parent),
            "PKG_CONFIG_SYSROOT_DIR": str(root)}


def pkg_config(installed, *arguments):
    return subprocess.run(["pkg-config", *arguments, "sconce-engine"], env=installed, check=True,
                          capture_output=True, text=True).stdout.split()


def compile_as(folder, *command):
    """Outside of this tree, so that no header of it is found by chance."""
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [
    ["cc", "-x", "c", "-std=c99"], ["cc", "-x", "c", "-std=gnu17"], ["c++", "-x", "c++"]])
def test_the_header_stands_alone(installed, tmp_path, command):
    if not shutil.which(command[0]):
        pytest.skip(f"there is no {command[0]}")
    source = tmp_path / "alone"
    source.write_text("#include <sconce/engine.h>\nint main(void) { return 0; }\n")
    compile_as(tmp_path, *command, *STRICT, "-fsyntax-only", *pkg_config(installed, "--cflags"),
               source)


@pytest.mark.parametrize("plugin", sorted((BUILD / "engines").glob("*.so")), ids=lambda p: p.stem)
def test_a_plug_in_exports_its_table_only(plugin):
    listing = subprocess.run(["nm", "-D", "--defined-only", plugin], check=True, text=True,
                             capture_output=True).stdout
    assert [line.split()[-1] for line in listing.splitlines()
            if "asan" not in line] == ["sconce_engine"]
