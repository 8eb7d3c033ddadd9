#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A page of the documents, run: its commands in order, its files written, its outputs compared.

    tests/docs/page.py [--times] PAGE.md

What a fenced block is follows from its language and from a comment in front of it, which readers
do not see:

    ```sh                                  is run; it has to succeed
    ```json, ```text after such a block    what that has printed: `...` stands for anything
    <!-- test: fails -->                   the commands have to fail
    <!-- test: background -->              runs on; the page continues when /readyz says so
    <!-- test: background until REGEX -->  … or when it has printed this
    <!-- test: stop -->                    ends what was started last in the background (Ctrl-C)
    <!-- test: file NAME -->               the block is the contents of this file
    <!-- test: none REASON -->             no test: a diagram, or what another test named here runs
    <!-- test: run                         commands that readers are spared
    ...
    -->

A block with none of these is an error, so that nothing is left out by mistake. Only the standard
library is needed: `tools/first_hour.sh` runs this with whatever Python is there.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# For hidden commands: what is written a moment later, such as lines of logs.
AWAIT = "await() { for i in {1..600}; do \"$@\" && return; sleep 0.1; done; return 1; }"
READY = "http://127.0.0.1:8080/readyz"
PATIENCE = int(os.environ.get("SCONCE_PAGE_PATIENCE", 60))
ANY = ("...", "…")
MADE = ("logs", "key_file.json", "models", "made")    # by who has run a page by hand
KINDS = ("fails", "background", "stop", "file", "none", "run")

# kind: sh, output or one of KINDS; argument: what follows the kind in its comment.
Step = namedtuple("Step", "kind argument language text line heading")


class Failure(Exception):
    """What is wrong, and at which line of the page."""


# ---- reading ----

def steps_of(text):
    """The steps of a page, in order."""
    steps, heading, mark = [], "", None
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        fence = re.match(r"( *)(```+)(\S*) *$", line)
        if fence:
            end = closing(lines, at, fence[2])
            body = [inner.removeprefix(fence[1]) for inner in lines[at + 1:end]]
            steps.append(block(steps, mark, fence[3], body, at + 1, heading))
            at, mark = end, None
        elif line.startswith("<!-- test:"):
            end = next(i for i in range(at, len(lines)) if "-->" in lines[i])
            mark = comment("\n".join(lines[at:end + 1]), at + 1, heading)
            if mark.kind in ("run", "stop"):
                steps.append(mark)
                mark = None
            at = end
        elif line.startswith("#"):
            heading = line.lstrip("# ")
        at += 1
    if mark:
        raise Failure(f"line {mark.line}: no block follows this comment")
    return steps


def closing(lines, begin, fence):
    for at in range(begin + 1, len(lines)):
        if lines[at].strip() == fence:
            return at
    raise Failure(f"line {begin + 1}: this block is not closed")


def comment(text, line, heading):
    inner = re.fullmatch(r"<!-- test: *(\w+)(.*?)-->", text, re.S)
    if not inner or inner[1] not in KINDS:
        raise Failure(f"line {line}: a comment `test:` is one of {', '.join(KINDS)}")
    return Step(inner[1], inner[2].strip(), "", inner[2].strip(), line, heading)


def block(steps, mark, language, body, line, heading):
    text = "\n".join(body) + "\n"
    if mark:
        if mark.kind == "none" and not mark.argument:
            raise Failure(f"line {mark.line}: `none` says why")
        return Step(mark.kind, mark.argument, language, text, line, heading)
    if language == "sh":
        return Step("sh", "", language, text, line, heading)
    if language in ("json", "text") and steps and steps[-1].kind in ("sh", "fails", "run"):
        return Step("output", "", language, text, line, heading)
    raise Failure(f"line {line}: what is this block? A comment says so, see {Path(__file__).name}")


# ---- comparing ----

def text_pattern(expected):
    """A regular expression for what is printed; `...` is the rest of a line, or any lines."""
    parts = []
    for line in expected.rstrip().splitlines():
        if line.strip() in ANY:
            parts.append(r"(?:.*\n)*?")
        else:
            pieces = [re.escape(piece) for piece in re.split(r"\.\.\.|…", line.rstrip())]
            parts.append(".*".join(pieces) + r"[ \t]*\n")
    return re.compile("".join(parts))


def same_json(expected, found, where="$"):
    """None, or where the two differ. "..." is any value; as a member it allows further ones."""
    if isinstance(expected, str) and expected in ANY:
        return None
    if isinstance(expected, str) and isinstance(found, str) and any(a in expected for a in ANY):
        return None if text_pattern(expected).fullmatch(found + "\n") else f"{where}: {found!r}"
    if isinstance(expected, dict) and isinstance(found, dict):
        open_ended = any(key in ANY for key in expected)
        wanted = {key: value for key, value in expected.items() if key not in ANY}
        if wanted.keys() - found.keys() or (found.keys() - wanted.keys() and not open_ended):
            return f"{where}: members {sorted(found)} instead of {sorted(wanted)}"
        differences = [same_json(wanted[key], found[key], f"{where}.{key}") for key in wanted]
        return next(filter(None, differences), None)
    if isinstance(expected, list) and isinstance(found, list):
        if expected and isinstance(expected[-1], str) and expected[-1] in ANY:
            expected, found = expected[:-1], found[:len(expected) - 1]
        if len(expected) != len(found):
            return f"{where}: {len(found)} items instead of {len(expected)}"
        differences = [same_json(*pair, f"{where}[{i}]")
                       for i, pair in enumerate(zip(expected, found))]
        return next(filter(None, differences), None)
    if type(expected) is type(found) and expected == found:
        return None
    return f"{where}: {found!r} instead of {expected!r}"


def compare(step, printed):
    if step.language == "json":
        try:
            difference = same_json(json.loads(step.text), json.loads(printed))
        except ValueError as error:
            difference = f"no JSON ({error})"
    else:
        clean = re.sub(r"\x1b\[[0-9;]*m", "", printed).rstrip() + "\n"
        difference = None if text_pattern(step.text).fullmatch(clean) else "the text is another"
    if difference:
        raise Failure(f"line {step.line}: {difference}; it was printed:\n{printed}")


# ---- running ----

class Page:
    """Runs steps in a folder of their own. Variables and the working folder last."""

    def __init__(self, folder, binaries, checkout=None):
        self.folder = Path(folder)
        self.state = self.folder / ".state"
        self.log = self.folder / ".log"
        self.background = []
        self.printed = ""
        self.times = []
        path = os.pathsep.join([str(binaries), os.environ.get("PATH", "")])
        checkout = checkout or self.view(self.folder / "sconce")
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("TS_", "SCONCE_"))},
            "PATH": path, "HOME": str(self.folder), "TEMP": str(self.folder / "tmp"),
            "TMPDIR": str(self.folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
        (self.folder / "tmp").mkdir()
        self.state.write_text(f"cd {shlex.quote(str(checkout))}\n")

    def view(self, folder):
        """What looks like the checkout, so that what a page leaves there is not in the real one."""
        folder.mkdir()
        for path in ROOT.iterdir():
            if path.name == "examples":    # its pages write beside what they read
                shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns(*MADE))
            elif path.name not in MADE:
                (folder / path.name).symlink_to(path)
        return folder

    def run(self, steps):
        try:
            for step in steps:
                began = time.monotonic()
                try:
                    getattr(self, "do_" + step.kind)(step)
                except subprocess.TimeoutExpired:
                    raise Failure(f"line {step.line}: has not ended after {PATIENCE} s") from None
                self.times.append((step, time.monotonic() - began))
        finally:
            for process, _ in self.background:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def shell(self, text, keep=True):
        """A script that continues where the last has ended, and stops at the first failure."""
        save = f"trap 'status=$?; {{ export -p; printf \"cd %q\\n\" \"$PWD\"; }} >{self.state}; " \
            "exit $status' EXIT\n" if keep else ""
        return ["bash", "-c", f"{AWAIT}\n. {self.state}\n{save}set -eo pipefail\n{text}"]

    def do_sh(self, step, fails=False):
        with open(self.folder / ".stdout", "w+") as out, open(self.folder / ".stderr", "w+") as err:
            done = subprocess.run(self.shell(step.text), env=self.environment, stdout=out,
                                  stderr=err, stdin=subprocess.DEVNULL, cwd=self.folder,
                                  timeout=PATIENCE)
            out.seek(0)
            err.seek(0)
            self.printed, errors = out.read(), err.read()
        if fails:
            self.printed += errors
        if (done.returncode != 0) != fails:
            raise Failure(f"line {step.line}: exit code {done.returncode} of\n{step.text}"
                          f"---- printed\n{self.printed}{errors}")

    def do_run(self, step):
        self.do_sh(step)

    def do_fails(self, step):
        self.do_sh(step, fails=True)

    def do_output(self, step):
        compare(step, self.printed)

    def do_none(self, step):
        """Only named tests are looked at: they have to be there."""
        for file, test in re.findall(r"(\w+\.(?:py|c))::(\w+)", step.argument):
            found = [p for p in (ROOT / "tests").rglob(file) if f" {test}(" in p.read_text()]
            if not found:
                raise Failure(f"line {step.line}: there is no test {file}::{test}")

    def do_file(self, step):
        where = subprocess.run(self.shell("pwd", keep=False), env=self.environment, check=True,
                               capture_output=True, text=True).stdout.strip()
        path = Path(where, step.argument)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.text)

    def do_background(self, step):
        log = self.folder / f".background{len(self.background)}"
        with open(log, "wb") as out:
            process = subprocess.Popen(self.shell(step.text, keep=False), env=self.environment,
                                       stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                       start_new_session=True)
        self.background.append((process, log))
        until = step.argument.removeprefix("until").strip()
        give_up = time.monotonic() + PATIENCE
        pause = threading.Event()
        while not (re.search(until, log.read_text(errors="replace")) if until else ready()):
            if process.poll() is not None or time.monotonic() > give_up:
                raise Failure(f"line {step.line}: not ready, exit code {process.returncode}\n"
                              f"{log.read_text(errors='replace')[-4000:]}")
            pause.wait(0.1)

    def do_stop(self, step):
        process, log = self.background.pop()
        os.killpg(process.pid, signal.SIGINT)
        if process.wait(PATIENCE) not in (0, 130, -signal.SIGINT):
            raise Failure(f"line {step.line}: ended with {process.returncode}\n"
                          f"{log.read_text(errors='replace')[-4000:]}")

    def complaints(self):
        """What was printed in the background."""
        return "".join(f"---- in the background\n{log.read_text(errors='replace')[-3000:]}"
                       for _, log in self.background)


def ready():
    try:
        with urllib.request.urlopen(READY, timeout=PATIENCE) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False
    except OSError:
        return False


def show_times(times):
    kinds = ("sh", "background", "fails")
    shown = [(step, seconds) for step, seconds in times if step.kind in kinds]
    for step, seconds in shown:
        first = next((line for line in step.text.splitlines() if line.strip()), "")
        print(f"{seconds:7.1f} s  {step.heading:<28.28}  {first:.60}")
    print(f"{sum(seconds for _, seconds in times):7.1f} s  in all")


def run(path, binaries, times=False, checkout=None):
    with tempfile.TemporaryDirectory(prefix="page-", ignore_cleanup_errors=True) as folder:
        page = Page(folder, binaries, checkout)
        try:
            page.run(steps_of(Path(path).read_text()))
        except Failure as failure:
            print(f"{path}: {failure}\n{page.complaints()}")
            return 1
        finally:
            if times:
                show_times(page.times)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", action="store_true", help="print how long each step took")
    parser.add_argument("--bin", default=ROOT / "build" / "bin", help="folder of the commands")
    parser.add_argument("--here", action="store_true",
                        help="begin in this checkout, not in a view of it")
    parser.add_argument("page")
    chosen = parser.parse_args()
    return run(chosen.page, chosen.bin, chosen.times, ROOT if chosen.here else None)


if __name__ == "__main__":
    sys.exit(main())
