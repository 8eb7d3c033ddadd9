# SPDX-License-Identifier: Apache-2.0
"""A metric that handlers keep and update: its updates go to the front, beside the replies.

In a process that the server did not start they are printed, as TorchServe's workers print them.
"""

import sys

from ts.metrics.metric_abstract import MetricAbstract
from ts.metrics.metric_type_enum import MetricTypes

try:
    from sconce.metrics import emit as _emit
except ImportError:
    _emit = None


def _complain(text, *arguments):
    sys.stderr.write("[METRICS]" + text % arguments + "\n")


def _number(value):
    """`value` as an int or float of Python's own; NumPy's and one-element tensors are let in."""
    if type(value) is float or type(value) is int:
        number = value
    else:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError("the value is not a number") from None
    if number - number != 0:
        raise ValueError("the value is not finite")
    return number


def _print(name, value, unit, kind, dimensions, request_ids):
    import socket
    import time

    print("[METRICS]%s.%s:%s|#%s|#type:%s|#hostname:%s,%d%s" % (
        name, unit, value, ",".join("%s:%s" % d for d in dimensions), kind.upper(),
        socket.gethostname(), time.time(), "," + request_ids if request_ids else ""))


class CachingMetric(MetricAbstract):
    """See MetricsCacheYamlImpl.add_metric_to_cache(), which makes them."""

    def add_or_update(self, value, dimension_values=(), request_id=""):
        """Counts, sets or observes `value`; what is wrong with it is only logged."""
        names = self.dimension_names
        try:
            if dimension_values is None or len(dimension_values) != len(names):
                raise ValueError("there must be one value for each of the dimensions %s" % names)
            number = _number(value)
            if number < 0 and self.metric_type is MetricTypes.COUNTER:
                raise ValueError("a counter never goes down")
        except ValueError as e:
            _complain("%s is not updated with value %r and dimensions %r: %s",
                      self.metric_name, value, dimension_values, e)
            return
        self.emit_metrics(request_id, number,
                          [(name, str(v)) for name, v in zip(names, dimension_values)])

    def emit_metrics(self, request_id, value, dimensions):
        """`dimensions`: (name, value) pairs of strings."""
        (_emit or _print)(self.metric_name, value, self.unit, self.metric_type.value, dimensions,
                          request_id or "")

    def update(self, value, request_id="", dimensions=()):
        """The older form of add_or_update(): names and values come as Dimension objects."""
        self.dimension_names = [d.name for d in dimensions]
        self.add_or_update(value, [d.value for d in dimensions], request_id)
