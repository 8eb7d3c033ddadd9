# SPDX-License-Identifier: Apache-2.0
"""The site that `make docs` makes: whole, readable without a network, on narrow screens, too."""

import re
import subprocess
from html.parser import HTMLParser

import pytest

from docs.page import ROOT

SOURCES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"),
                  *(ROOT / "examples").rglob("README.md")])
MKDOCS = ROOT / ".venv-docs" / "bin" / "python"
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


class Site(HTMLParser):
    """What a page loads, and how its tables are made."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.tables, self.text = [], [], ""
        self.code = 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in LOADS and attributes.get("rel") != "canonical":
            self.loads.append(attributes.get(LOADS[tag]) or "")
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_data(self, data):
        self.text += data
        if self.tables and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data.strip()

    def handle_comment(self, data):
        self.text += f"<!--{data}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A page's name: what is in it."""
    assert MKDOCS.exists(), "the documents' environment is missing: tools/setup.sh docs"
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run([MKDOCS, "-m", "mkdocs", "build", "--strict", "-q",
                           "-f", ROOT / "tools/site/mkdocs.yml", "-d", folder],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {str(path.relative_to(site)): Site(path.read_text())
            for path in site.rglob("*.html")}


def test_every_document_is_a_page(pages):
    names = {path.stem + ".html" for path in (ROOT / "docs").glob("*.md")}
    names |= {str(path.relative_to(ROOT).with_name("index.html"))
              for path in (ROOT / "examples").rglob("README.md")}
    assert names <= pages.keys()


def test_nothing_is_loaded_from_elsewhere(site, pages):
    loaded = {(name, what) for name, page in pages.items() for what in page.loads}
    for path in site.rglob("*.css"):
        loaded |= {(path.name, what) for what in re.findall(
            r"url\(['\"]?([^)'\"]*)|@import +['\"]([^'\"]*)", path.read_text()) for what in what}
    assert len(loaded) > len(pages)
    assert not [pair for pair in loaded if re.match(r"\w+:(?!image/)|//", pair[1])]


def test_tables_are_well_formed(pages):
    tables = [(name, table) for name, page in pages.items() for table in page.tables]
    assert len(tables) > 40
    for name, table in tables:
        assert any(table[0]), f"{name}: the header is empty above {table[1]}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rows_have_a_cell_for_each_column(path):
    """MkDocs drops what is beyond the last column, and fills in what lacks."""
    text = re.sub(r"^( *```).*?^\1$", "", path.read_text(), flags=re.S | re.M)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        rows = [re.sub(r"\\\|", "", row).count("|") for row in table.splitlines()]
        assert len(set(rows)) == 1, table


def test_no_source_shines_through(pages):
    for name, page in pages.items():
        cells = " ".join(cell for table in page.tables for row in table for cell in row)
        assert r"\|" not in cells and "<!-- test:" not in page.text, name
        assert not re.search(r"\]\(|^\|.*\|$", page.text, re.M), name
