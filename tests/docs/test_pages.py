# SPDX-License-Identifier: Apache-2.0
"""Every command, file and output in README and docs, as a reader would meet them.

Each page runs in a network and among processes of its own, so that its ports are the default ones
and nothing that it starts outlives it.
"""

import os
import re
import subprocess
import sys

import pytest

from docs.page import ROOT, Failure, same_json, steps_of, text_pattern

BIN = os.environ.get("SCONCE_BIN_DIR", str(ROOT / "build" / "bin"))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"),
                *(ROOT / "examples").glob("*/README.md")])
OWN = "docs/developing.md"     # its commands are run by e2e/test_developing.py
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
APART = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
         *([] if os.geteuid() == 0 else ["--map-root-user"])]
# The shell is process 1 of them: it reaps what is left to it.
ALONE = [*APART, "sh", "-c", 'ip link set lo up && "$@"; exit $?', "sh"]
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="session")
def apart():
    done = subprocess.run([*ALONE, "true"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no namespaces here: {done.stderr.strip()}")


@pytest.mark.parametrize("name", [name for name in NAMES if name != OWN])
def test_page(name, apart, tmp_path):
    command = [*ALONE, sys.executable, str(ROOT / "tests/docs/page.py"), "--bin", BIN,
               str(ROOT / name)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, cwd=tmp_path, text=True, timeout=840,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


def anchors(text):
    """The names that headings have as targets of links."""
    outside = re.sub(r"^( *```).*?^\1$", "", text, flags=re.S | re.M)
    titles = re.findall(r"^#+ +(.*)$", outside, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", [*NAMES, "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"])
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
