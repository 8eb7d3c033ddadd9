# SPDX-License-Identifier: Apache-2.0
"""How the time of a batch was spent, for the front, which makes spans of it.

Only for batches of requests that are traced: nothing of this is there for the others. Of a handler
that has them, preprocess(), inference() and postprocess() are measured while it is called, whoever
calls them.
"""

import functools
import inspect
from time import monotonic_ns

from sconce import frame as wire

METHODS = ("preprocess", "inference", "postprocess")
_WORKER, _HANDLER = 1, 2     # entries of the frame that others are parts of


def _stages(entry):
    """The objects whose methods are an entry point's stages: the one it is a method of, what an
    envelope is around, or those of the module that it is a function of."""
    owner = getattr(entry, "__self__", None)
    inner = getattr(owner, "_handle_fn", None)
    if inner is not None:
        return _stages(inner)
    if owner is not None:
        found = [owner]
    else:
        found = list(getattr(entry, "__globals__", {}).values())
    # Of an object only its type is asked: one that stands for another may raise what it likes.
    return [o for o in found if callable(getattr(type(o), "inference", None))
            and not issubclass(type(o), type) and isinstance(getattr(o, "__dict__", None), dict)]


def _is_plain(method):
    """Is it over when it returns? A handler may ask that of its own methods."""
    return callable(method) and not (
        inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method)
        or inspect.isasyncgenfunction(method))


_known = (None, ())     # the entry point that was asked about last, and its stages


def _stages_of(entry):
    global _known
    if _known[0] is not entry:
        _known = entry, _stages(entry)
    return _known[1]


class Trace:
    """One batch."""

    def __init__(self, began=None):
        self._began = began or monotonic_ns()
        self._handler = None
        self._phases = []

    def _timed(self, name, method):
        @functools.wraps(method)
        def measured(*args, **kwargs):
            began = monotonic_ns()
            try:
                return method(*args, **kwargs)
            finally:
                if len(self._phases) < wire.PHASES_MAX - _HANDLER:
                    self._phases.append((name, began, monotonic_ns()))
        return measured

    def _watch(self, entry):
        """Puts measuring functions before the methods; returns what undoes it."""
        undo = []
        for owner in _stages_of(entry):
            for name in METHODS:
                method = getattr(owner, name, None)
                if _is_plain(method):
                    undo.append((vars(owner), name, vars(owner).get(name)))
                    vars(owner)[name] = self._timed(name, method)
        return undo

    def call(self, entry, rows, context):
        """The handler's turn."""
        undo = self._watch(entry)
        began = monotonic_ns()
        try:
            return entry(rows, context)
        finally:
            self._handler = began, monotonic_ns()
            for names, name, before in reversed(undo):
                if before is None:
                    names.pop(name, None)
                else:
                    names[name] = before

    async def call_async(self, entry, rows, context):
        """The same of a coroutine function. Of those that run side by side the stages are not
        told apart."""
        began = monotonic_ns()
        try:
            values = entry(rows, context)
            return await values if hasattr(values, "__await__") else values
        finally:
            self._handler = began, monotonic_ns()

    def over(self):
        """A handler that is called again and again has had its last turn."""
        self._handler = self._began, monotonic_ns()

    def tell(self, channel, number):
        """To be sent before the batch's replies."""
        entries = [wire.phase(0, "worker", self._began, monotonic_ns())]
        if self._handler:
            entries.append(wire.phase(_WORKER, "handler", *self._handler))
            entries += [wire.phase(_HANDLER, *phase) for phase in self._phases]
        channel.send(wire.frame(wire.TRACE, number, b"".join(entries), len(entries)))
