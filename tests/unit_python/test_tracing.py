# SPDX-License-Identifier: Apache-2.0
"""What measures a handler's stages leaves the handler as it is, to whoever looks."""

import asyncio
import inspect

from sconce.tracing import Trace


class Closed:
    """Stands for another object, of which there is none now, as a request of Flask does."""

    @property
    def __class__(self):
        raise RuntimeError("there is no request")

    @property
    def __dict__(self):
        raise RuntimeError("there is no request")


class Stages:
    def preprocess(self, rows, most=None):
        return rows

    async def inference(self, rows):
        return rows

    def postprocess(self, rows):
        yield from rows

    def handle(self, rows, context):
        assert list(inspect.signature(self.preprocess).parameters) == ["rows", "most"]
        assert self.preprocess.__name__ == "preprocess"
        assert inspect.iscoroutinefunction(self.inference)
        assert inspect.isgeneratorfunction(self.postprocess)
        return list(self.postprocess(asyncio.run(self.inference(self.preprocess(rows)))))


service = Stages()
closed = Closed()


def handle(rows, context):
    return service.handle(rows, context)


def test_a_handler_that_looks_at_its_stages_sees_them():
    trace = Trace()
    assert trace.call(service.handle, [1, 2], None) == [1, 2]
    assert [name for name, _, _ in trace._phases] == ["preprocess"]
    assert not vars(service)


def test_a_module_with_an_object_that_refuses_to_be_looked_at():
    trace = Trace()
    assert trace.call(handle, [1, 2], None) == [1, 2]
    assert [name for name, _, _ in trace._phases] == ["preprocess"]
