# SPDX-License-Identifier: Apache-2.0
"""A metric that handlers keep and update: its updates go to the front, beside the replies.

In a process that the server did not start they are logged, as TorchServe's workers log them.
"""

from sconce import metrics as _front
from ts.metrics.metric_abstract import MetricAbstract
from ts.metrics.metric_type_enum import MetricTypes

_COMPLAINTS_MAX = 1000
_complained = set()     # names and types of metrics whose misfit was told


def _logger():
    import logging

    return logging.getLogger(__name__)


def _shown(value):
    try:
        return str(value)[:200]
    except Exception:    # an int of very many digits is none that str() shows
        return "<%s>" % type(value).__name__


def _number(value):
    """`value` as an int or float of Python's own; NumPy's and one-element tensors are let in."""
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("the value is too large") from None
    except Exception:     # RuntimeError of a tensor with several elements, say
        raise ValueError("the value is not a number") from None
    if number - number != 0:
        raise ValueError("the value is not finite")
    return value if type(value) is int else number


class CachingMetric(MetricAbstract):
    """See MetricsCacheYamlImpl.add_metric_to_cache(), which makes them."""

    def add_or_update(self, value, dimension_values=(), request_id=""):
        """Counts, sets or observes `value`; what is wrong with it is only logged."""
        names = self.dimension_names
        pairs = ()
        try:
            if dimension_values is None or len(dimension_values) != len(names):
                given = dimension_values if dimension_values is None else list(dimension_values)
                raise ValueError("Dimension values: %s should correspond to Dimension names: %s"
                                 % (given, names))
            pairs = [(name, str(v)) for name, v in zip(names, dimension_values)]
            number = _number(value)
            if number < 0 and self.metric_type is MetricTypes.COUNTER:
                raise ValueError("Counter metric update value cannot be negative")
        except ValueError as e:
            self._complain(value, pairs, e)
            return
        if _front.connected:
            _front.emit(self.metric_name, number, self.unit, self.metric_type.value, pairs,
                        request_id or "")
        else:
            self.emit_metrics(request_id, value, ",".join("%s:%s" % pair for pair in pairs))

    def _complain(self, value, pairs, error):
        """In a worker once for each metric: a handler does the same for every request."""
        key = (self.metric_name, self.metric_type)
        if _front.connected:
            if key in _complained or len(_complained) >= _COMPLAINTS_MAX:
                return
            _complained.add(key)
        _logger().error("[METRICS]Failed to update metric with name:%s and dimensions: %s with "
                        "value: %s: %s", self.metric_name,
                        ",".join("%s:%s" % pair for pair in pairs), _shown(value), error)

    def emit_metrics(self, request_id, value, dimension_string):
        """Logs an update as TorchServe's workers do."""
        import socket
        import time

        _logger().info("[METRICS]%s.%s:%s|#%s|#type:%s|#hostname:%s,%d%s",
                       self.metric_name, self.unit, value, dimension_string,
                       self.metric_type.name, socket.gethostname(), time.time(),
                       ",%s" % request_id if request_id else "")

    def update(self, value, request_id="", dimensions=()):
        """The older form of add_or_update(): names and values come as Dimension objects."""
        self.dimension_names = [d.name for d in dimensions]
        self.add_or_update(value, [d.value for d in dimensions], request_id)
