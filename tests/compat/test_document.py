# SPDX-License-Identifier: Apache-2.0
"""docs/compatibility.md lists what the cases declare, no more and no less, and names its tests."""

import re

from compat import cases
from compat.compare import RULES
from e2e.server import REPOSITORY

TEXT = (REPOSITORY / "docs" / "compatibility.md").read_text()
COLUMNS = ["feature", "TorchServe", "sconce", "why", "test"]


def rows():
    """The cells of every deviation."""
    lines = [line.strip().strip("|").split(" | ") for line in TEXT.splitlines()
             if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    first = cells.index(COLUMNS)
    return [row for row in cells[first:] if len(row) == len(COLUMNS) and row != COLUMNS]


def proofs():
    """Everything that the last column names: ids of cases, and tests as file::name."""
    return [name for row in rows() for name in re.findall(r"`([^`]+)`", row[-1])]


def test_every_deviation_is_in_the_document():
    used = {name for case in cases.ALL for step in case.steps for name in step.differs}
    listed = [name for name in proofs() if "::" not in name]
    assert len(listed) == len(set(listed)), "an id is listed twice"
    assert set(listed) == used | set(RULES)


def test_every_row_names_a_proof():
    for row in rows():
        assert re.search(r"`[^`]+`", row[-1]), row


def test_named_tests_exist():
    for name in proofs():
        if "::" in name:
            file, test = name.split("::")
            found = [p for place in ("tests", "src") for p in (REPOSITORY / place).rglob(file)]
            assert any(f" {test}(" in path.read_text() for path in found), name
