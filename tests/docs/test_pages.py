# SPDX-License-Identifier: Apache-2.0
"""Every command, file and output in README and docs, as a reader would meet them."""

import re

import pytest

from docs.alone import run_alone, why_not_alone
from docs.page import ROOT, Failure, same_json, steps_of, text_pattern

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
EXAMPLES = sorted((ROOT / "examples").rglob("README.md"))    # run by tests/examples
OWN = "docs/developing.md"     # its commands are run by e2e/test_developing.py
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINKED = [*NAMES, *(str(page.relative_to(ROOT)) for page in EXAMPLES),
          "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="session")
def apart():
    reason = why_not_alone()
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("name", [name for name in NAMES if name != OWN])
def test_page(name, apart, tmp_path):
    done = run_alone(ROOT / name, tmp_path)
    assert done.returncode == 0, done.stdout


def anchors(text):
    """The names that headings have as targets of links."""
    outside = re.sub(r"^( *```).*?^\1$", "", text, flags=re.S | re.M)
    titles = re.findall(r"^#+ +(.*)$", outside, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", LINKED)
def test_links_lead_somewhere(name):
    page = ROOT / name
    for target in LINK.findall(page.read_text()):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(path.read_text()), f"{name}: {target}"


def test_every_page_is_on_the_front_page():
    listed = set(LINK.findall((ROOT / "docs/index.md").read_text()))
    missing = {page.name for page in (ROOT / "docs").glob("*.md")} - listed - {"index.md"}
    assert not missing


# ---- the runner itself ----

@pytest.mark.parametrize("expected, printed, same", [
    ("a ... c\n", "a b c\n", True),
    ("a\n...\nc\n", "a\nb\nb\nc\n", True),
    ("a\n...\n", "a\n", True),
    ("a.c\n", "abc\n", False),
    ("a\n", "a\nb\n", False),
])
def test_texts(expected, printed, same):
    assert bool(text_pattern(expected).fullmatch(printed)) is same


@pytest.mark.parametrize("expected, found, same", [
    ({"a": "..."}, {"a": [1]}, True),
    ({"a": 1, "...": "..."}, {"a": 1, "b": 2}, True),
    ({"a": 1}, {"a": 1, "b": 2}, False),
    ({"a": 1}, {"a": True}, False),
    ({"a": "1"}, {"a": 1}, False),
    ([1, "..."], [1, 2, 3], True),
    ([1], [1, 2], False),
])
def test_json(expected, found, same):
    assert (same_json(expected, found) is None) is same


@pytest.mark.parametrize("text, reason", [
    ("```python\nx\n```\n", "what is this block"),
    ("```sh\nx\n", "not closed"),
    ("<!-- test: nothing -->\n```sh\nx\n```\n", "is one of"),
    ("<!-- test: none -->\n```sh\nx\n```\n", "says why"),
    ("<!-- test: fails -->\n", "no block follows"),
])
def test_pages_that_leave_something_out(text, reason):
    with pytest.raises(Failure, match=reason):
        steps_of(text)
