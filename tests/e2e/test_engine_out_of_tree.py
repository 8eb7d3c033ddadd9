# SPDX-License-Identifier: Apache-2.0
"""A third party's engine: built from the installed header alone, found where it says."""

import json
import os
import subprocess

from e2e.server import BIN, REPOSITORY


def run(command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120,
                          **more).stdout


def test_the_example_is_built_against_what_is_installed(tmp_path):
    environment = {**os.environ, "DESTDIR": str(tmp_path)}
    run(["meson", "install", "-C", str(BIN.parent), "--no-rebuild"], env=environment)
    found = next(tmp_path.rglob("sconce-engine.pc"))
    environment = {**os.environ, "PKG_CONFIG_PATH": str(found.parent),
                   "PKG_CONFIG_SYSROOT_DIR": str(tmp_path)}
    flags = run(["pkg-config", "--cflags", "sconce-engine"], env=environment).split()
    engines = tmp_path / "mine"
    engines.mkdir()
    run(["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *flags, "-o",
         str(engines / "mine.so"), str(REPOSITORY / "engines/echo/echo.c")], cwd=tmp_path)
    (tmp_path / "model.echo").touch()
    worker = next(path for path in tmp_path.rglob("sconce-worker") if path.is_file())
    environment = {**os.environ, "SCONCE_ENGINE_PATH": str(engines)}
    listed = [json.loads(line) for line in run([worker, "--engines"], env=environment).splitlines()]
    errors = {os.path.basename(e["file"]): e.get("error") for e in listed}
    assert errors["mine.so"] is None and errors["echo.so"] is None
    said = json.loads(run([worker, "--check", tmp_path / "model.echo"], env=environment))
    assert said["instances"][0]["engine"] == "echo"
