# SPDX-License-Identifier: Apache-2.0
"""A worker of `sconce dev`: what it complains of is for the terminal of who writes the handler.

Tracebacks begin where the handler does, and have colours where the terminal wants some. Standard
input is the terminal, too, so breakpoint() works as anywhere else.
"""

import linecache
import os
import re
import sys
import traceback

from sconce import logs

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PLACE = re.compile(r'^(\s+)File "(.*)", line (\d+)(?:, in (.*))?$')
_MARKS = re.compile(r"^\s+[~^]+\s*$")
_ERROR = re.compile(r"^([\w.]+)(: .*)?$")
_BOLD_RED, _RED, _MAGENTA, _CYAN, _DIM, _END = (
    "\033[1;31m", "\033[31m", "\033[35m", "\033[36m", "\033[2m", "\033[0m")


def _is_machinery(frame):
    name = frame.f_code.co_filename
    return name.startswith((_OURS, "<frozen importlib")) or name.endswith("importlib/__init__.py")


def _is_installed(name):
    return name.startswith((_OURS, os.path.dirname(os.__file__) + os.sep)) or (
        "site-packages" in name or "dist-packages" in name)


def cut(error):
    """Takes the frames that led to the handler off a traceback, and off those behind it."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        at = error.__traceback__
        while at is not None and _is_machinery(at.tb_frame):
            at = at.tb_next
        error.__traceback__ = at
        error = error.__cause__ or error.__context__


def wants_colour(stream, environment=os.environ):
    """https://no-color.org, and terminals that know none."""
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except Exception:    # closed, or replaced by a handler
        return False


def paint(text):
    """A traceback in colours."""
    lines = []
    for line in text.splitlines():
        place = _PLACE.match(line)
        error = _ERROR.match(line)
        if place:
            indent, name, number, function = place.groups()
            line = '%sFile %s"%s"%s, line %s%s%s' % (indent, _MAGENTA, name, _END, _MAGENTA,
                                                     number, _END)
            if function:
                line += ", in %s%s%s" % (_CYAN, function, _END)
        elif _MARKS.match(line):
            line = _RED + line + _END
        elif error:
            line = _BOLD_RED + error.group(1) + _END + _RED + (error.group(2) or "") + _END
        elif line.endswith(":") and not line.startswith(" "):
            line = _DIM + line + _END
        lines.append(line)
    return "\n".join(lines) + "\n"


def _complain(text, error=None, requests=None):
    try:
        if text:
            print(text, file=sys.stderr)
        if error is None:
            return
        if type(error).__name__ == "BdbQuit":
            print("The debugger was left: the request fails.", file=sys.stderr)
            return
        cut(error)
        report = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        sys.stderr.write(paint(report) if wants_colour(sys.stderr) else report)
        sys.stderr.flush()
    except Exception:
        pass    # as logs.complain()


def install():
    logs.complain = _complain


def remember():
    """Keeps the sources that were loaded: the files will have changed while this worker still
    answers, and its tracebacks must not show what it does not run."""
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if not isinstance(name, str) or not name.endswith(".py") or _is_installed(name):
            continue
        lines = linecache.getlines(name)
        # What has no time is never looked at again.
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
