# SPDX-License-Identifier: Apache-2.0
"""The page about deploy/ names what is there."""

from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_each_folder_is_in_the_table():
    page = (DEPLOY / "README.md").read_text()
    folders = [path.name for path in DEPLOY.iterdir() if path.is_dir()]
    assert [name for name in folders if f"[{name}/]({name}/" not in page] == []
