# SPDX-License-Identifier: Apache-2.0
"""
What handlers log goes to their standard output as bare lines, INFO and above: the server adds time,
model and worker. `logging` itself is left to the first module that wants it; it is not small.
"""

import os
import sys
import traceback
from contextvars import ContextVar
from importlib.machinery import PathFinder


_OWN = (os.path.dirname(os.path.abspath(__file__)) + os.sep, "<frozen importlib",
        os.path.join(os.path.dirname(os.__file__), "importlib", ""))
_CAUSE_MAX = 400
_FRAMES_MAX = 30

model = ""            # its name
folder = ""           # where its files are
request_ids = False   # does the front want the ids of the requests that a line belongs to?
records = False       # and its lines as records (log_format=json)? See record().
running = ()          # the requests of the batch that the handler has now
of_task = ContextVar("of_task", default=())   # those of a coroutine's batch


def of_now():
    """The requests that the handler runs now, as far as the caller can tell."""
    return of_task.get() or running


def ids(requests=None):
    """What ends a line about these requests, or about those that the handler runs now."""
    if not request_ids:
        return ""
    if requests is None:
        requests = of_now()
    return "".join(" " + request.uuid for request in requests)


_MARKS = str.maketrans({"\n": "\x1e", "\r": None, "\x1e": None, "\x1f": None})


def record(text, requests=None):
    """Text of several lines as one, with the ids of its requests behind it: the front's log makes
    one JSON object of that (src/log/json_line.h)."""
    line = text.rstrip("\n").translate(_MARKS)
    known = ids(requests).strip().replace(" ", ",")
    return f"{line}\x1f{known}" if known else line


def complain(text, error=None, requests=None):
    """A line, and the traceback of what was raised, about these requests or about those that the
    handler runs now. Handlers replace and close these streams, and raise what cannot be printed:
    nothing comes of that here."""
    try:
        named = "" if records or requests is None else ids(requests)
        whole = text + named + "\n" if text else ""
        if error is not None:
            whole += traceback_of(error)
        if records:
            whole = record(whole, requests) + "\n"
        print(whole, end="", file=sys.stderr)
    except Exception:
        pass


def text_of(error):
    """str(error), whatever its class makes of that."""
    try:
        return str(error)
    except Exception:
        return ""


def _cut(one):
    """Leaves out the frames of the server and of Python's import. Where there are no others, they
    say something, unless it is where a syntax error was found, which it says itself."""
    theirs = [f for f in one.stack if not f.filename.startswith(_OWN)]
    if theirs or getattr(one, "lineno", None) is not None:
        one.stack = traceback.StackSummary.from_list(theirs)


def traceback_of(error):
    """As Python prints it, with the frames that its user can do something about."""
    whole = traceback.TracebackException(type(error), error, error.__traceback__)
    left = [whole]
    while left:
        one = left.pop()
        _cut(one)
        left += [e for e in (one.__cause__, one.__context__) if e is not None]
        left += getattr(one, "exceptions", None) or []
    return "".join(whole.format())


def _forget_frames(error):
    frames = []
    frame = error.__traceback__
    while frame is not None:
        frames.append(frame)
        frame = frame.tb_next
    if len(frames) > _FRAMES_MAX:
        kept = frames[-(_FRAMES_MAX // 2)]
        for one in reversed(frames[:_FRAMES_MAX // 2]):
            kept = type(one)(kept, one.tb_frame, one.tb_lasti, one.tb_lineno)
        error.__traceback__ = kept


def _members(error):
    """Of a group of exceptions, as a TaskGroup raises."""
    members = getattr(error, "exceptions", None)
    return [e for e in members if isinstance(e, BaseException)] if type(members) is tuple else ()


def forget(error):
    """Of one that has been told of. What is raised again and again, by a Future say, has the frames
    of each time, and with them the requests of each: the first and the last ones are kept."""
    known = {}
    left = [error]
    try:
        while left:
            one = left.pop()
            if one is not None and id(one) not in known:
                known[id(one)] = one
                _forget_frames(one)
                left += [one.__cause__, one.__context__, *_members(one)]
    except Exception:     # its class has attributes of its own
        pass


def _place(error, folder):
    """Where in the files below a folder it was raised, or passed last."""
    place = ""
    frame = error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if folder and file.startswith(folder + os.sep):
            place = " (%s, line %d)" % (os.path.relpath(file, folder), frame.tb_lineno)
        frame = frame.tb_next
    return place


def cause_of(error, folder):
    """One sentence: what was raised, and where in the model's files."""
    text = " ".join(text_of(error).split())
    name = type(error).__name__
    text = "%s: %s" % (name, text) if text else name
    if len(text) > _CAUSE_MAX:
        text = text[:_CAUSE_MAX] + "..."
    return text if isinstance(error, SyntaxError) else text + _place(error, folder)


def _basic(logging):
    class Formatter(logging.Formatter):
        def format(self, entry):
            text = super().format(entry)
            return record(text) if records else text + ids()

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Formatter("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)


class _OnImport:
    """Finds `logging`, once, and sets it up as soon as it is there."""

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module

        def run_and_configure(module):
            run(module)
            _basic(module)

        spec.loader.exec_module = run_and_configure
        return spec


def configure():
    if "logging" in sys.modules:
        _basic(sys.modules["logging"])
    else:
        sys.meta_path.insert(0, _OnImport())
