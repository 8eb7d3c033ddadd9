# SPDX-License-Identifier: Apache-2.0
"""
What handlers log goes to their standard output as bare lines, INFO and above: the server adds time,
model and worker. `logging` itself is left to the first module that wants it; it is not small.
"""

import sys
import traceback
from contextvars import ContextVar
from importlib.machinery import PathFinder


request_ids = False   # does the front want the ids of the requests that a line belongs to?
running = ()          # the requests of the batch that the handler has now
of_task = ContextVar("of_task", default=())   # those of a coroutine's batch


def ids(requests=None):
    """What ends a line about these requests, or about those that the handler runs now."""
    if not request_ids:
        return ""
    if requests is None:
        requests = of_task.get() or running
    return "".join(" " + request.uuid for request in requests)


def complain(text, error=None):
    """A line, and the traceback of what was raised. Handlers replace and close these streams, and
    raise what cannot be printed: nothing comes of that here."""
    try:
        if text:
            print(text, file=sys.stderr)
        if error is not None:
            traceback.print_exception(type(error), error, error.__traceback__)
    except Exception:
        pass


def text_of(error):
    """str(error), whatever its class makes of that."""
    try:
        return str(error)
    except Exception:
        return ""


def _basic(logging):
    class Formatter(logging.Formatter):
        def format(self, record):
            return super().format(record) + ids()

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
