# SPDX-License-Identifier: Apache-2.0
"""What keeps tests away from what they did not start (../conftest.py)."""

import os
import subprocess
import tempfile

import pytest

from e2e.server import BIN


@pytest.mark.parametrize("place", [{"TEMP": "/tmp"}, {"TEMP": "", "TMPDIR": ""},
                                   {"TEMP": "", "TMPDIR": "/tmp/."}])
def test_nothing_is_started_that_would_use_the_machines_own(place):
    command = [BIN / "torchserve", "--version"]
    for run in (subprocess.run, subprocess.Popen, subprocess.check_output):
        with pytest.raises(AssertionError, match="TEMP or TMPDIR of"):
            run(command, env={**os.environ, **place})
    with pytest.raises(AssertionError, match="TEMP or TMPDIR of"):
        subprocess.run(command, env={"PATH": os.environ["PATH"]}, check=True)


def test_every_test_has_its_own(tmp_path):
    assert os.environ["TEMP"] == os.environ["TMPDIR"] and os.environ["TEMP"] != str(tmp_path)
    assert not os.listdir(os.environ["TEMP"])
    assert tempfile.gettempdir().startswith(str(tmp_path.parent))
