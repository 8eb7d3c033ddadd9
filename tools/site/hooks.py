# SPDX-License-Identifier: Apache-2.0
"""What MkDocs does to the documents when `make docs` makes a site of them.

They are written for who reads the files: links lead through the checkout, and tables are as
GitHub wants them. On the site the examples are pages, and tables fit narrow screens.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ROW = re.compile(r"^\| \[([^]]*)\]\(([^)]*)\)", re.M)
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
TABLE = re.compile(r"<table>(.*?)</table>", re.S)
HEAD = re.compile(r"<thead>.*?</thead>\s*", re.S)


def on_config(config):
    """The front page lists all others: so does the navigation."""
    config.nav = ["index.md"]
    for section in (ROOT / "docs/index.md").read_text().split("\n## ")[1:]:
        title, _, table = section.partition("\n")
        config.nav.append({title: [{name: site_link(target, "index.md")}
                                   for name, target in ROW.findall(table)]})
    return config


def on_files(files, config):
    """What is not in docs/."""
    files.append(File.generated(config, "site.css", abs_src_path=str(HERE / "site.css")))
    for path in sorted((ROOT / "examples").rglob("README.md")):
        place = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    place = page.file.src_uri
    markdown = re.sub(r"^<!-- test:.*?-->\n", "", markdown, flags=re.S | re.M)
    # Inside code, GitHub's tables want a backslash before a bar, and MkDocs shows it.
    markdown = re.sub(r"^\|.*\|$", lambda row: re.sub(
        r"`[^`]*`", lambda code: code[0].replace(r"\|", "|"), row[0]), markdown, flags=re.M)
    return LINK.sub(lambda link: "](" + site_link(link[1], place), markdown)


def site_link(target, page):
    """Where a link leads. The site has docs/ as its root and examples/ in it."""
    folder = posixpath.dirname(page if page.startswith("examples/") else f"docs/{page}")
    path = posixpath.normpath(posixpath.join(folder, target)).removeprefix("docs/")
    return posixpath.relpath(path, posixpath.dirname(page) or ".")


def on_page_content(html, page, config, files):
    return TABLE.sub(lambda table: f"<table>{labelled(table[1])}</table>", html)


def labelled(table):
    """Without a header that is empty; each cell with its column's title, for narrow screens."""
    titles = [re.sub(r"<.*?>", "", title).replace('"', "&quot;")
              for title in re.findall(r"<th(?: [^>]*)?>(.*?)</th>", table)]
    if not any(titles):
        return HEAD.sub("", table)
    rows = table.split("<tr>")
    return "<tr>".join(rows[:2] + [label(row, titles) for row in rows[2:]])


def label(row, titles):
    cells = row.split("<td")
    named = zip(titles, cells[1:])
    return cells[0] + "".join(f'<td data-title="{title}"{cell}' if title else f"<td{cell}"
                              for title, cell in named)
