# SPDX-License-Identifier: Apache-2.0
"""Runs `sconce archive`, which is what `torch-model-archiver` is: the name of its own cannot be
another package's command that comes back here."""

import errno
import logging
import os
import shutil
import subprocess
from pathlib import Path

from model_archiver.model_archiver_error import MissingFileError, ModelArchiverError

_OPTIONS = ("model_name", "handler", "version", "serialized_file", "model_file", "extra_files",
            "runtime", "export_path", "archive_format", "requirements_file", "config_file")


def _executable():
    """Where it was installed with this package, or in PATH, or built in the tree of sources."""
    above = Path(__file__).resolve().parents
    installed, built = above[4] / "bin" / "sconce", above[2] / "build" / "bin" / "sconce"
    found = installed if installed.exists() else shutil.which("sconce")
    if found or built.exists():
        return str(found or built)
    raise ModelArchiverError("the command sconce is not found: add its folder to PATH")


def _kind(message):
    """Of the error with this message."""
    missing = message.endswith(": " + os.strerror(errno.ENOENT)) or "not exist: " in message
    return MissingFileError if missing else ModelArchiverError


def archive(config, **other):
    """Packs what the config says: anything with its members, of which `other` replaces some."""
    given = {name: other.get(name, getattr(config, name, None)) for name in _OPTIONS}
    arguments = ["--%s=%s" % (name.replace("_", "-"), value) for name, value in given.items()
                 if value is not None]
    arguments += ["--force"] if other.get("force", getattr(config, "force", False)) else []
    done = subprocess.run([_executable(), "archive", *arguments], stdin=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    notes, _, error = done.stderr.partition("ERROR - ")
    for line in notes.splitlines():
        logging.warning("%s", line[len("WARNING - "):] if line.startswith("WARNING - ") else line)
    if done.returncode:
        message = error.strip() or notes.strip()
        raise _kind(message)(message)
