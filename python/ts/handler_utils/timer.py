# SPDX-License-Identifier: Apache-2.0
"""How long the steps of a handler take: a metric `ts_handler_<step>` for each.

Measured only where the model's YAML file has `handler: {profile: true}`.
"""

import functools
import sys
import time


def _profiled(handler):
    context = getattr(handler, "context", None)
    config = context.model_yaml_config if context else None
    section = config.get("handler") if config else None
    return isinstance(section, dict) and bool(section.get("profile"))


def _call(func, handler, args, kwargs):
    """(result, milliseconds): those of the GPU where there is one, its queue included."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        began = time.perf_counter()
        result = func(handler, *args, **kwargs)
        return result, 1000 * (time.perf_counter() - began)
    began = torch.cuda.Event(enable_timing=True)
    ended = torch.cuda.Event(enable_timing=True)
    began.record()
    result = func(handler, *args, **kwargs)
    ended.record()
    torch.cuda.synchronize()
    return result, began.elapsed_time(ended)


def timed(func):
    """Decorates a method of a handler."""
    @functools.wraps(func)
    def timed_call(self, *args, **kwargs):
        if not _profiled(self):
            return func(self, *args, **kwargs)
        result, milliseconds = _call(func, self, args, kwargs)
        self.context.metrics.add_time("ts_handler_" + func.__name__, milliseconds)
        return result

    return timed_call
