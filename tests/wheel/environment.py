# SPDX-License-Identifier: Apache-2.0
"""A virtual environment for a wheel."""

import contextlib
import os
import shutil
import subprocess
import sys


def run(*command, path=None, **options):
    """What a command prints. It gets nothing from the environment of the tests, `path` if named."""
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith(("SCONCE_", "TS_", "PYTHON", "VIRTUAL_ENV"))}
    if path is not None:
        clean["PATH"] = str(path)
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600,
                          check=False, env=clean, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments, **options):
    return run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, **options)


def files(folder):
    """And folders, which are left behind, too."""
    return set(folder.rglob("*"))


class Environment:
    """A virtual environment without any package, not even pip."""

    def __init__(self, root, *options):
        run(sys.executable, "-m", "venv", "--without-pip", *options, root)
        self.root = root
        self.bin = root / "bin"
        self.before = files(root)

    def pip(self, *arguments, **options):
        return pip("--python", str(self.bin / "python"), *arguments, **options)

    def install(self, wheel):
        """By Python alone: there is no compiler, nor any other command."""
        self.pip("install", "--no-index", str(wheel), path=self.bin)
        return self

    @contextlib.contextmanager
    def torchserve(self, source):
        """A `ts` package among Python's own, as TorchServe's would be."""
        packages, = self.root.glob("lib/python3*/site-packages")
        (packages / "ts").mkdir()
        (packages / "ts" / "__init__.py").write_text(source)
        yield packages / "ts" / "__init__.py"
        shutil.rmtree(packages / "ts")
