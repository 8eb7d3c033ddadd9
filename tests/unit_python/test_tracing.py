# SPDX-License-Identifier: Apache-2.0
"""What measures a handler's stages leaves the handler as it is, to whoever looks."""

import asyncio
import copy
import functools
import inspect
import pickle
import subprocess
import sys
import threading
import types

import pytest

from conftest import ROOT
from sconce import frame as wire
from sconce.tracing import METHODS, Trace
from ts.torch_handler.request_envelope.body import BodyEnvelope


class Refuses:
    """Stands for another object, of which there is none now, as a request of Flask does."""

    @property
    def __class__(self):
        raise RuntimeError("there is no request")

    @property
    def __dict__(self):
        raise RuntimeError("there is no request")


class Handler:
    factor = 2

    def preprocess(self, rows, most=None):
        return [self.factor * row for row in rows]

    def inference(self, rows):
        return rows

    def postprocess(self, rows):
        return rows

    def handle(self, rows, context):
        return self.postprocess(self.inference(self.preprocess(rows)))


class Looks(Handler):
    async def inference(self, rows):
        return rows

    def postprocess(self, rows):
        yield from rows

    def handle(self, rows, context):
        assert list(inspect.signature(self.preprocess).parameters) == ["rows", "most"]
        assert self.preprocess.__name__ == "preprocess"
        assert self.preprocess == self.preprocess and self.preprocess.__self__ is self
        assert inspect.iscoroutinefunction(self.inference)
        assert inspect.isgeneratorfunction(self.postprocess)
        assert not vars(self)
        return list(self.postprocess(asyncio.run(self.inference(self.preprocess(rows)))))


class Copies(Handler):
    """So that threads do not get in each other's way."""

    def handle(self, rows, context):
        other = copy.copy(self)
        other.factor = 10
        return other.preprocess(rows) + copy.deepcopy(other).inference([3])


class Pickles(Handler):
    def handle(self, rows, context):
        return pickle.loads(pickle.dumps(self)).preprocess(rows)


class Registers(Handler):
    """Knows its functions from the beginning, and hands them to other processes."""

    @staticmethod
    def inference(rows):
        return [row + 1 for row in rows]

    def __init__(self):
        self.steps = [functools.partial(Registers.preprocess, self), self.inference]

    def handle(self, rows, context):
        for step in (*self.steps, self.inference, type(self).inference):
            rows = pickle.loads(pickle.dumps(step))(rows)
        return self.postprocess(self.inference(rows))


class Lazy(Handler):
    """Finds out at the first request how it will work."""

    def handle(self, rows, context):
        if "preprocess" not in vars(self):
            self.preprocess = lambda rows: [100 * row for row in rows]
        return self.preprocess(rows)


class Patches(Handler):
    def preprocess(self, rows):
        type(self).preprocess = lambda self, rows: [7 * row for row in rows]
        return rows


class Asked(Handler):
    """Has what it is asked for, or KeyError."""

    def __getattr__(self, name):
        return self.__dict__[name]


class Recursive(Handler):
    def __init__(self):
        self._handle_fn = self.handle


class Refusing(Handler):
    @property
    def preprocess(self):
        raise RuntimeError("there is no model yet")

    def handle(self, rows, context):
        return rows


class Slots:
    __slots__ = ()
    inference = Handler.inference

    @staticmethod
    def preprocess(rows):
        return rows

    @classmethod
    def postprocess(cls, rows):
        return [cls.__name__] * len(rows)

    handle = Handler.handle


def called(handler, trace=None):
    return [trace.call(handler.handle, [1, 2], None) if trace
            else handler.handle([1, 2], None) for _ in range(2)]


def stages(trace):
    """As the front is told them."""
    sent = []
    trace.tell(types.SimpleNamespace(send=sent.append), 1)
    return [name for name in METHODS for _ in range(sent[0].count(name.encode()))]


@pytest.mark.parametrize("kind, measured", [
    (Handler, METHODS), (Looks, METHODS[:2]), (Copies, METHODS[:2]), (Pickles, METHODS[:1]),
    (Registers, METHODS[1:]), (Lazy, ()), (Patches, METHODS), (Asked, METHODS),
    (Recursive, METHODS), (Refusing, ()), (Slots, METHODS)])
def test_answers_are_those_of_a_handler_that_is_not_measured(kind, measured):
    """Before it is measured, while it is, and with its classes prepared for that."""
    before = called(type(kind.__name__, (kind,), {})() if kind is Patches else kind())
    traces = [Trace(), Trace()]
    handler = kind()
    now = [trace.call(handler.handle, [1, 2], None) for trace in traces]
    assert now == before
    assert stages(traces[0]) == list(measured)
    if kind is not Patches:
        assert called(kind()) == before


service = Handler()
refuses = Refuses()


def handle(rows, context):
    return service.handle(rows, context)


def test_a_module_with_an_object_that_refuses_to_be_looked_at():
    trace = Trace()
    assert trace.call(handle, [1, 2], None) == [2, 4]
    assert stages(trace) == list(METHODS)


def test_what_an_envelope_is_around():
    trace = Trace()
    envelope = BodyEnvelope(Handler().handle)
    assert trace.call(envelope.handle, [{"body": 1}, {"data": 2}], None) == [2, 4]
    assert stages(trace) == list(METHODS)


def test_coroutines_side_by_side_have_stages_of_their_own():
    class Coroutines:
        def preprocess(self, rows):
            return rows

        async def inference(self, rows):
            self.began[rows[0]].set()
            await self.began[1 - rows[0]].wait()     # each waits for the other
            return rows

        async def handle(self, rows, context):
            if rows[0]:
                rows = self.preprocess(rows)
            return await self.inference(rows)

    async def both(handler, traces):
        handler.began = [asyncio.Event(), asyncio.Event()]
        return await asyncio.gather(*(trace.call_async(handler.handle, [i], None)
                                      for i, trace in enumerate(traces)))

    traces = [Trace(), Trace()]
    assert asyncio.run(both(Coroutines(), traces)) == [[0], [1]]
    assert list(map(stages, traces)) == [["inference"], ["preprocess", "inference"]]


def test_more_stages_than_a_frame_may_tell():
    class Many(Handler):
        def handle(self, rows, context):
            threads = [threading.Thread(target=lambda: [self.inference(rows) for _ in range(50)])
                       for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return rows

    trace = Trace()
    trace.call(Many().handle, [1], None)
    assert len(stages(trace)) == wire.PHASES_MAX - 2


def test_nothing_is_imported_for_it_when_a_handler_has_changed_the_path():
    subprocess.run([sys.executable, "-c", "import sys; sys.path[:0] = sys.argv[1:]\n"
                    "from sconce import frame, serving\n"
                    "sys.path.clear(); assert serving.trace_of(frame.RUN_TRACE)",
                    str(ROOT / "python")], check=True)
