# SPDX-License-Identifier: Apache-2.0
"""No test touches what it did not start.

`torchserve` finds its server by a file in the folder for temporary files: in the machine's own,
that is somebody else's. Every test has a folder of its own; a process that would use the machine's
is not started, and a server that got there all the same fails its test.
"""

import contextlib
import os
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest

NAMES = ("TEMP", "TMPDIR", "TMP")
PID_FILE = ".model_server.pid"
MACHINE = {os.path.realpath(place) for place in
           ("/tmp", "/var/tmp", tempfile.gettempdir(), *filter(None, map(os.environ.get, NAMES)))}
SESSION = f"TEST_SESSION={uuid.uuid4().hex}"


def temporary_folder(environment):
    """Where `torchserve` with this environment keeps its file."""
    return os.path.realpath(environment.get("TEMP") or environment.get("TMPDIR") or "/tmp")


class GuardedPopen(subprocess.Popen):
    def __init__(self, *arguments, **options):
        environment = options.get("env")
        folder = temporary_folder(os.environ if environment is None else environment)
        assert folder not in MACHINE, \
            f"TEMP or TMPDIR of {arguments[:1]} has to be a folder of the test's own, not {folder}"
        super().__init__(*arguments, **options)


def is_ours(pid):
    with contextlib.suppress(OSError):
        return SESSION.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def servers_of_ours():
    """Files of the machine that name a process which a test started."""
    found = []
    for folder in MACHINE:
        with contextlib.suppress(OSError, ValueError):
            pid = int(Path(folder, PID_FILE).read_text())
            found += [f"{folder}/{PID_FILE}"] if is_ours(pid) else []
    return found


@pytest.fixture(scope="session", autouse=True)
def guard(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("session"))
        patch.setattr(subprocess, "Popen", GuardedPopen)
        patch.setattr(tempfile, "tempdir", folder)
        patch.setenv(*SESSION.split("="))
        for name in NAMES:
            patch.setenv(name, folder)
        yield


@pytest.fixture(autouse=True)
def own_temporary_folder(guard, tmp_path_factory, monkeypatch):
    folder = str(tmp_path_factory.mktemp("temporary"))
    for name in NAMES:
        monkeypatch.setenv(name, folder)
    yield
    assert not servers_of_ours(), "a server of this test is where the machine's would be"
