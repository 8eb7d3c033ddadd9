# SPDX-License-Identifier: Apache-2.0
"""How the time of a batch was spent, for the front, which makes spans of it.

Only for batches of requests that are traced. Of a handler that has them, preprocess(), inference()
and postprocess() are measured while it is called, whoever calls them. For that the functions in its
classes are replaced, once and for good, when the first such batch comes: an object that copies or
pickles itself or one of them, or has another function put in their place, does not notice.
"""

import functools
import sys
import types
from contextvars import ContextVar
from time import monotonic_ns

from sconce import frame as wire

METHODS = ("preprocess", "inference", "postprocess")
_WORKER, _HANDLER = 1, 2     # entries of the frame that others are parts of
_STAGES_MAX = wire.PHASES_MAX - _HANDLER
# As the module inspect names them, which is large.
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200

_of_call = None      # the trace of the batch that the handler has, in whichever thread
_of_task = ContextVar("trace_of_task", default=None)    # that of a coroutine's batch


def _now():
    return _of_task.get() or _of_call


def _timed(name, function):
    """A function of a class, measured; None for one that has only begun when it returns."""
    kind = function.__code__.co_flags
    if kind & (_GENERATOR | _ASYNC_GENERATOR):
        return None
    if kind & _COROUTINE:
        @functools.wraps(function)
        async def measured(*args, **kwargs):
            trace, began = _now(), monotonic_ns()
            try:
                return await function(*args, **kwargs)
            finally:
                if trace:
                    trace.stage(name, began)
    else:
        @functools.wraps(function)
        def measured(*args, **kwargs):
            trace, began = _now(), monotonic_ns()
            try:
                return function(*args, **kwargs)
            finally:
                if trace:
                    trace.stage(name, began)
    return measured


def _find(kind, name):
    """(class, what it has by that name), without asking the class for it."""
    return next(((c, vars(c)[name]) for c in kind.__mro__ if name in vars(c)), (None, None))


class _Static:
    """A static method, measured. Pickled it is what its class has by that name."""

    def __init__(self, owner, name, timed):
        functools.update_wrapper(self, timed)
        self._timed, self._place = timed, (owner, name)

    def __call__(self, *args, **kwargs):
        return self._timed(*args, **kwargs)

    def __reduce__(self):
        return getattr, self._place


class _Stage:
    """What a class has in the place of a function: it is measured where an object is asked for it.
    The class still has the function itself, which somebody may know since before, and pickle: that
    is by its name, where the same has to be found then."""

    def __init__(self, found, measured):
        self._found, self._measured = found, measured

    def __get__(self, instance, kind=None):
        which = self._found if instance is None else self._measured
        return which.__get__(instance, kind)


_measured = set()    # functions that measure others


def _replacement(owner, name, found):
    """What measures what a class has by this name; None where that is no plain function."""
    wrap = type(found) if type(found) in (staticmethod, classmethod) else None
    function = found.__func__ if wrap else found
    if type(function) is not types.FunctionType or function in _measured:
        return None
    timed = _timed(name, function)
    # That one returns a coroutine is to be seen, which it is of functions only.
    if not timed or (wrap is staticmethod and function.__code__.co_flags & _COROUTINE):
        return None
    _measured.add(timed)
    if wrap is classmethod:
        return wrap(timed)
    return _Stage(found, wrap(_Static(owner, name, timed)) if wrap else timed)


def _measure(kind):
    """Has the stages of a class measured, where they are plain functions."""
    for name in METHODS:
        owner, found = _find(kind, name)
        replacement = _replacement(owner, name, found)
        if replacement:
            type.__setattr__(owner, name, replacement)


def _kinds(entry):
    """The classes whose methods are an entry point's stages: of the object that it is a method of,
    of what an envelope is around, or of the objects in the module that it is a function of."""
    envelopes = sys.modules.get("ts.torch_handler.request_envelope.base")
    while envelopes and type(entry) is types.MethodType and (
            envelopes.BaseEnvelope in type(entry.__self__).__mro__):
        entry = entry.__self__._handle_fn
    if type(entry) is types.MethodType:
        found = {type(entry.__self__)}
    elif type(entry) is types.FunctionType:
        found = set(map(type, list(entry.__globals__.values())))
    else:
        found = ()
    # Of an object only its type is asked: one that stands for another may raise what it likes.
    return [kind for kind in found if not issubclass(kind, type) and
            hasattr(_find(kind, "inference")[1], "__get__")]


_known = None    # the entry point that was asked about last


def _prepare(entry):
    """What cannot be looked at is not measured."""
    global _known
    if entry is _known:
        return
    _known = entry
    try:
        for kind in _kinds(entry):
            _measure(kind)
    except Exception:
        pass


class Trace:
    """One batch."""

    def __init__(self, began=None):
        self._began = began or monotonic_ns()
        self._handler = None
        self._stages = []

    def stage(self, name, began_ns):
        """One is over; any thread may say so."""
        if len(self._stages) < _STAGES_MAX:
            self._stages.append((name, began_ns, monotonic_ns()))

    def call(self, entry, rows, context):
        """The handler's turn."""
        global _of_call
        _prepare(entry)
        _of_call = self
        began = monotonic_ns()
        try:
            return entry(rows, context)
        finally:
            self._handler = began, monotonic_ns()
            _of_call = None

    async def call_async(self, entry, rows, context):
        """The same of a coroutine function, in a task of its own."""
        _prepare(entry)
        _of_task.set(self)
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
            # Threads may have been at it side by side, and some still are.
            entries += [wire.phase(_HANDLER, *stage) for stage in self._stages[:_STAGES_MAX]]
        channel.send(wire.frame(wire.TRACE, number, b"".join(entries), len(entries)))
