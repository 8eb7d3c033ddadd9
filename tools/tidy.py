#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the rules of this tree that a compiler does not know.

Each breach is printed as file:line: rule: what. An exception is written down where it is made:
    tidy: allow <rule>: <why>
in a comment on that line or on the one above it.
"""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, FUNCTION_LINES, FILE_LINES, TAB = 100, 70, 600, 8

# The ladder: what a folder of src/ may include besides itself. Lower never knows upper.
LADDER = {
    "base": "",
    "log": "base",
    "loop": "base log",
    "wire": "base log",
    "config": "base log wire",
    "archive": "base log wire config",
    "core": "base",
    "pool": "base",
    "auth": "base log loop wire config",
    "child": "base log loop wire",
    "telemetry": "base log loop wire config core child",
    "trace": "base log wire config core",
    "fleet": "base log loop wire config archive core pool auth child telemetry trace",
    "net": "base log loop wire",
    "image": "base",
    "pipeline": "base wire image",
    "worker": "base wire image pipeline",
    "api": "base log loop wire config archive core pool auth child telemetry trace fleet net",
    "serve": "base log loop wire config archive core pool auth child telemetry trace fleet net api",
    "cli": "base log loop wire config archive core pool auth child telemetry trace fleet net api "
           "serve",
}
LADDER = {folder: {folder, "sconce", *below.split()} for folder, below in LADDER.items()}

# How fleet/ runs its processes is its own business.
FLEET_INTERNAL = {"channel.h", "environment.h", "python.h", "unpack.h", "zygote.h"}

# Its callbacks are the loop's own.
UNMEASURED = {"loop"}

BANNED_C = {
    "strcpy": "buf_append() or memcpy() with a length",
    "strcat": "buf_append()", "strncpy": "memcpy() with a length", "strncat": "buf_append()",
    "stpcpy": "buf_append()",
    "sprintf": "snprintf() or buf_printf()", "vsprintf": "vsnprintf()",
    "strtok": "slice_cut()", "strtok_r": "slice_cut()", "gets": "read()",
    "atoi": "slice_to_…()", "atol": "slice_to_…()", "atof": "slice_to_…()",
    "alloca": "memory with a bound", "setjmp": "error codes", "longjmp": "error codes",
    "tmpnam": "mkstemp()", "mktemp": "mkstemp()", "system": "posix_spawn()",
    "sleep": "an event to wait for", "usleep": "an event to wait for",
    "nanosleep": "an event to wait for",
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED_C) + r")\s*\(")
PY_SLEEP = re.compile(r"\btime\.sleep\s*\(")
CONDITIONAL = re.compile(r"\s*#\s*(if|ifdef|ifndef|elif)\b")
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')
# Functions that libuv calls: what they do is a part of a turn of the loop, see src/loop/turn.h.
CALLBACK = re.compile(r"^static void (\w+)\(uv_(?:timer|poll|check|prepare|signal|async|stream|"
                      r"write|connect|fs|getaddrinfo)_t \*", re.M)
UNFINISHED = re.compile(r"\b(TODO|FIX" r"ME|XX" r"X)\b")  # tidy: allow unfinished: the rule itself
# The images' own folders are no machine's.
MACHINE = re.compile(r"(?<![\w.~$}])/(work|root|home)/(?!model-server\b|venv\b)\w")
HOSTS = re.compile(r"\b(pypi|pythonhosted|debian|npmjs|docker|ghcr|quay)\.(org|com|io)\b")
ALLOW = re.compile(r"tidy: allow ([a-z-]+): \S")
SPDX = "SPDX-License-Identifier: Apache-2.0"
CODE = {".c", ".h", ".cpp", ".py", ".sh", ".lua", ".js"}


class Text:
    """One file: its lines, and what is wrong with them."""

    def __init__(self, path, content):
        self.path = path
        self.content = content
        self.lines = content.splitlines()
        self.breaches = []

    def report(self, line, rule, what):
        near = self.lines[max(0, line - 2):line]
        if any(m.group(1) == rule for text in near for m in ALLOW.finditer(text)):
            return
        self.breaches.append(f"{self.path}:{line}: {rule}: {what}")


def tracked_files():
    """Paths of what is tracked or about to be, relative to the root."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT,
                             check=True, capture_output=True, text=True)
    return sorted({name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()})


def bare_c(content):
    """C with comments and literals blanked; offsets and lines stay as they are."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), content)


def c_functions(lines):
    """(first line, length) of each function: kernel layout, braces in column 0."""
    start = 0
    body = None
    for i, line in enumerate(lines):
        if body is None and line == "{":
            body = start
        elif body is not None and line.startswith("}"):
            yield body + 1, i - body + 1
            body = None
        if body is None and (not line.strip() or line[0] in "}#/" or line.endswith((";", "*/"))):
            start = i + 1


def check_c(text):
    bare = bare_c(text.content)
    lines = bare.splitlines()
    for first, length in c_functions(lines):
        if length > FUNCTION_LINES:
            text.report(first, "function-length", f"{length} lines, at most {FUNCTION_LINES}")
    for number, line in enumerate(lines, 1):
        for call in CALL.finditer(line):
            name = call.group(1)
            text.report(number, "banned", f"{name}() is banned, use {BANNED_C[name]}")
        if CONDITIONAL.match(line) and text.path.startswith("src/"):
            text.report(number, "conditional", "variation lives in files and tables, not in #if")
    if text.path.endswith(".h"):
        check_header(text)
    check_turns(text, bare)
    check_ladder(text)


def check_turns(text, bare):
    """Without a mark a callback's time goes to another, or to nobody."""
    parts = text.path.split("/")
    if parts[0] != "src" or parts[1] in UNMEASURED or parts[-1].startswith("test_"):
        return
    for number, line in enumerate(bare.splitlines(), 1):
        if "uv_queue_work(" in line:
            text.report(number, "turn", "work_start() or lane_add() of loop/work.h measure it")
    for callback in CALLBACK.finditer(bare):
        end = bare.find("\n}", callback.end())
        if ";" not in bare[callback.end():bare.find("\n", callback.end())] and \
                "TURN(" not in bare[callback.end():end]:
            text.report(bare.count("\n", 0, callback.start()) + 1, "turn",
                        f"{callback.group(1)}() is called by libuv and does not begin with TURN()")


def check_header(text):
    if "#pragma once" not in text.lines[1:4]:
        text.report(1, "header", "#pragma once belongs right below the licence line")
    rest = text.content.replace(SPDX, "", 1)
    if not re.search(r"/\*\s*\w|/\*\n \* \w", rest):
        text.report(1, "header", "says nothing of its contract: owner, units, threads, errors")


def check_ladder(text):
    parts = text.path.split("/")
    if parts[0] != "src" or len(parts) < 3:
        return
    allowed = LADDER.get(parts[1])
    if allowed is None:
        text.report(1, "ladder", f"src/{parts[1]} has no place on the ladder in tools/tidy.py")
        return
    for number, line in enumerate(text.lines, 1):
        include = INCLUDE.match(line)
        if not include:
            continue
        folder, _, name = include.group(1).rpartition("/")
        if not folder:
            text.report(number, "ladder", f'"{name}" needs its folder, as in "{parts[1]}/{name}"')
        elif folder not in allowed:
            text.report(number, "ladder", f"{parts[1]}/ may not include {folder}/")
        elif folder == "fleet" and parts[1] != "fleet" and is_internal(name):
            text.report(number, "ladder", f"{include.group(1)} is fleet's own business")


def is_internal(name):
    return name in FLEET_INTERNAL or name.endswith("_internal.h")


def check_python(text):
    try:
        tree = ast.parse(text.content)
    except SyntaxError as e:
        text.report(e.lineno or 1, "syntax", str(e.msg))
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                text.report(node.lineno, "function-length",
                            f"{length} lines, at most {FUNCTION_LINES}")
    for number, line in enumerate(text.lines, 1):
        if PY_SLEEP.search(line):
            text.report(number, "banned", "sleeping is banned, wait for an event")


def check_code(text):
    """Licence, width and length: any language."""
    head = text.lines[:2] if text.lines and text.lines[0].startswith("#!") else text.lines[:1]
    if text.lines and SPDX not in head[-1]:
        text.report(1, "licence", f"the first line is not {SPDX}")
    if len(text.lines) > FILE_LINES:
        text.report(1, "file-length", f"{len(text.lines)} lines, at most {FILE_LINES}")
    for number, line in enumerate(text.lines, 1):
        width = len(line.expandtabs(TAB))
        if width > COLUMNS:
            text.report(number, "columns", f"{width} columns, at most {COLUMNS}")
        if line != line.rstrip():
            text.report(number, "columns", "blanks at the end of the line")


def check_any(text):
    for number, line in enumerate(text.lines, 1):
        if UNFINISHED.search(line):
            text.report(number, "unfinished", "finish it, or open no door")
        if MACHINE.search(line):
            text.report(number, "machine", "a path of one machine")
        if HOSTS.search(line):
            text.report(number, "machine", "the address of a registry: name the package instead")


def check_listed(names):
    """A test that its folder does not list is never run."""
    for name in names:
        path = Path(name)
        if not re.fullmatch(r"src/\w+/test_\w+\.c", name):
            continue
        listing = ROOT / path.parent / "meson.build"
        noun = path.stem[len("test_"):]
        if not listing.exists() or f"'{noun}'" not in listing.read_text():
            yield f"{name}:1: unlisted: '{noun}' is not among the tests of its meson.build"


def python_imports(name, modules):
    """The modules of `modules` (name: path) that this one imports anywhere, also in functions."""
    tree = ast.parse((ROOT / modules[name]).read_text())
    for node in ast.walk(tree):
        found = []
        if isinstance(node, ast.Import):
            found = [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.append((inner if inner in modules else node.module, node.lineno))
        yield from ((target, line) for target, line in found if target in modules)


def check_circles(names):
    """Modules of the workers that import each other, in however many steps."""
    modules = {name[len("python/"):-len(".py")].replace("/", ".").removesuffix(".__init__"): name
               for name in names if name.startswith(("python/sconce/", "python/ts/"))
               and name.endswith(".py")}
    graph = {name: dict(python_imports(name, modules)) for name in modules}
    for name in sorted(graph):
        reached, ahead = {}, [(target, name) for target in graph[name]]
        while ahead:
            target, before = ahead.pop(0)
            if target not in reached:
                reached[target] = before
                ahead += [(further, target) for further in graph[target]]
        if name in reached:
            way = [name]
            while len(way) == 1 or way[-1] != name:
                way.append(reached[way[-1]])
            line = graph[name][way[-2]]
            yield f"{modules[name]}:{line}: circle: {' imports '.join(reversed(way))}"


def check_plants():
    """Faults to be planted whose place is gone: nobody would notice before the next sowing."""
    script = "tests/sim/plants.py"
    for name, (path, there, _) in runpy.run_path(str(ROOT / script))["PLANTS"].items():
        if there not in (ROOT / path).read_text():
            yield f"{script}: plant: the text of '{name}' is not in {path} any more"


def check_file(name):
    data = (ROOT / name).read_bytes()
    if b"\0" in data or name.startswith("tests/fuzz/corpus/"):
        return []
    text = Text(name, data.decode("utf-8", "replace"))
    suffix = Path(name).suffix
    check_any(text)
    if suffix in CODE:
        check_code(text)
    if suffix in (".c", ".h", ".cpp"):
        check_c(text)
    if suffix == ".py":
        check_python(text)
    return text.breaches


def main():
    names = tracked_files()
    breaches = [line for name in names for line in check_file(name)]
    breaches += check_listed(names)
    breaches += check_circles(names)
    breaches += check_plants()
    for line in breaches:
        print(line)
    if breaches:
        print(f"{len(breaches)} breaches of the rules in {len(names)} files")
    else:
        print(f"{len(names)} files keep the rules")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
