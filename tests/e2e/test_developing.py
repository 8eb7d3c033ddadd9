# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/developing.md, in its order, as a reader would type it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.server import BIN, eventually, free_ports
from e2e.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "developing.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PY_SPY = """#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" = --output ] && echo svg > "$2"; shift; done
"""


class Reader:
    """A folder, a shell that has `sconce`, and a first terminal where `sconce dev` runs."""

    def __init__(self, root):
        self.root = root
        self.port, = free_ports(1)
        (root / "bin").mkdir()
        (root / "tmp").mkdir()
        (root / "bin/py-spy").write_text(PY_SPY)
        (root / "bin/py-spy").chmod(0o755)
        # `sconce call` and its like find the server by this.
        (root / "config.properties").write_text("".join(
            f"{kind}_address=http://127.0.0.1:{self.port}\n"
            for kind in ("inference", "management")))
        path = [str(root / "bin"), str(BIN), str(Path(sys.executable).parent), os.environ["PATH"]]
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("SCONCE_", "TS_"))}
        self.env.update(PATH=os.pathsep.join(path), TMPDIR=str(root / "tmp"), TERM="xterm",
                        SCONCE_BIN_DIR=str(BIN), PYTHONDONTWRITEBYTECODE="1",
                        PYTHONPATH=str(ROOT / "python"))
        self.terminal = self.dev = None

    def type(self, line):
        line = line.replace(":8080", f":{self.port}")
        if line.startswith("sconce dev"):
            self.start_dev(f"{line} --port {self.port}")
            return ""
        done = subprocess.run(["bash", "-c", line], cwd=self.root, env=self.env, text=True,
                              capture_output=True, timeout=240, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def start_dev(self, line):
        self.end_dev()
        self.terminal = Terminal(columns=200)
        self.dev = subprocess.Popen(line.split(), cwd=self.root, env=self.env,
                                    start_new_session=True, stdin=self.terminal.slave,
                                    stdout=self.terminal.slave, stderr=self.terminal.slave,
                                    executable=str(BIN / "sconce"))
        os.close(self.terminal.slave)
        eventually(lambda: "/predictions/greeter" in self.terminal.plain(),
                   lambda: self.terminal.plain())

    def end_dev(self):
        if self.dev:
            self.dev.terminate()
            assert self.dev.wait(30) == 0
            self.terminal.close()
        self.dev = None


@pytest.fixture
def reader(tmp_path):
    r = Reader(tmp_path)
    yield r
    r.end_dev()


def prepare_sources(root):
    """What a reader has who types the command with files from elsewhere."""
    (root / "src").mkdir()
    (root / "src/handler.py").write_text((root / "greeter/handler.py").read_text())
    (root / "src/model-config.yaml").write_text((root / "greeter/model-config.yaml").read_text())
    for name in ("net.py", "trained.pt", "names.json"):
        (root / name).write_text("")


def test_every_command(reader):
    shown = {}
    for language, text in BLOCK.findall(PAGE.read_text()):
        for line in text.splitlines() if language == "sh" else ():
            if "src/handler.py" in line:
                prepare_sources(reader.root)
            shown[line] = reader.type(line)
    # What the page says of what they print.
    assert '"label":"positive"' in shown["sconce call greeter text"].replace(" ", "")
    assert re.search(r"text: 200 in [\d.]+ ms: read [\d.]+ ms, queue [\d.]+ ms, "
                     r"batch [\d.]+ ms \(of 1\), handler [\d.]+ ms, total [\d.]+ ms\n",
                     shown["sconce call greeter text"])
    assert any("server-timing: read;dur=" in output for output in shown.values())
    assert sum("\nthroughput  " in output or output.startswith("throughput  ")
               for output in shown.values()) == 2
    assert (reader.root / "greeter.svg").exists()
    assert (reader.root / "greeter.mar").exists()


def test_the_tests_of_the_page(reader):
    """Its Python is a test file that passes."""
    reader.type("sconce new greeter --template text")
    python, = [text for language, text in BLOCK.findall(PAGE.read_text()) if language == "python"]
    (reader.root / "greeter/test_page.py").write_text(
        'pytest_plugins = ["sconce.testing"]\n' + python)
    assert "3 passed" in reader.type("pytest -q greeter/test_page.py")
