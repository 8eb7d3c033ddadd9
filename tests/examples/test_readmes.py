# SPDX-License-Identifier: Apache-2.0
"""Every command and output in the READMEs of the examples, as a reader would meet them."""

import re

import pytest

from docs.alone import run_alone, why_not_alone
from docs.page import ROOT

EXAMPLES = ROOT / "examples"
FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
PIN = re.compile(r"^([\w-]+)==([\w.]+)$", re.M)


@pytest.mark.parametrize("page", ["README.md", *(f"{folder}/README.md" for folder in FOLDERS)])
def test_readme(page, tmp_path):
    reason = why_not_alone()
    if reason:
        pytest.skip(reason)
    done = run_alone(EXAMPLES / page, tmp_path)
    assert done.returncode == 0, done.stdout


def test_every_example_is_listed():
    table = (EXAMPLES / "README.md").read_text()
    listed = re.findall(r"^\| \[[\w-]+\]\(([\w-]+)/README\.md\)", table, re.M)
    assert sorted(listed) == FOLDERS


def test_the_examples_agree_on_versions():
    """They share one environment; the image's shares its packages' versions all the same."""
    pins = {pin for file in EXAMPLES.glob("*/requirements.txt")
            for pin in PIN.findall(file.read_text())}
    assert len(pins) == len({name for name, _ in pins})
