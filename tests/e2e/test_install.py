# SPDX-License-Identifier: Apache-2.0
"""What building and installing leave behind: a clean checkout, and nothing once uninstalled."""

import shutil
import subprocess
import sys

import pytest

from e2e.server import BIN, REPOSITORY

BUILD = BIN.parent

pytestmark = pytest.mark.skipif(not (BUILD / "build.ninja").exists() or not shutil.which("meson"),
                                reason="this is no build folder of meson")


def run(*command):
    done = subprocess.run(list(map(str, command)), cwd=REPOSITORY, capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(root):
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root)
    executable, = root.rglob("bin/sconce")
    return executable.parent.parent


def test_uninstalling_leaves_nothing(tmp_path):
    root = tmp_path / "root"
    prefix = install(root)
    # Python writes beside what it runs.
    packages = prefix / "share" / "sconce" / "python"
    run(sys.executable, "-m", "compileall", "-q", packages / "sconce")
    assert list(packages.rglob("*.pyc"))
    # What others have put there stays; an installation over another is removed, too.
    other = prefix / "share" / "zsh" / "site-functions" / "_other"
    other.touch()
    install(root)
    target = "/" + str(prefix.relative_to(root))
    assert run("make", "--no-print-directory", "uninstall", f"PREFIX={target}", f"DESTDIR={root}",
               f"PYTHON={sys.executable}", f"BUILD={BUILD}") == f"uninstalled from {prefix}\n"
    assert [p for p in prefix.rglob("*") if not p.is_dir()] == [other]
    assert {p.name for p in prefix.rglob("*")} == {"share", "zsh", "site-functions", "_other"}


def test_uninstalling_what_is_not_there(tmp_path):
    assert run(sys.executable, REPOSITORY / "tools" / "uninstall.py", BUILD,
               tmp_path) == f"uninstalled from {tmp_path}\n"
    done = subprocess.run([sys.executable, REPOSITORY / "tools" / "uninstall.py",
                           tmp_path / "none", tmp_path], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1
    assert done.stderr == (f"{tmp_path}/none/ says what was installed, and is not there: "
                           "make build\n")


def test_building_leaves_the_checkout_clean():
    """Newer versions of meson lock the folder of subprojects; pip builds in a folder of its own."""
    made = ["subprojects/.wraplock", "subprojects/llhttp-9.3.0.0/x", "build/x", "build-asan/x",
            "subprojects/packagefiles/llhttp-9.3.0.0.tar.gz", ".mesonpy-x/y",
            "python/sconce/__pycache__/x.pyc", "tools/__pycache__/x.pyc", "sconce.egg-info/x"]
    ignored = subprocess.run(["git", "check-ignore", "--no-index", *made], cwd=REPOSITORY,
                             capture_output=True, text=True, check=False).stdout.split()
    assert ignored == made
    assert run("git", "ls-files", "--others", "--exclude-standard", "subprojects", "python") == ""
