# SPDX-License-Identifier: Apache-2.0
"""The metric of the deprecated MetricsStore: one counter with dimensions fixed from the start."""

import time

from ts.metrics.caching_metric import CachingMetric
from ts.metrics.metric_type_enum import MetricTypes
from ts.metrics.unit import Units

MetricUnit = Units()


def _hostname():
    import socket

    return socket.gethostname()


class Metric:
    def __init__(self, name, value, unit, dimensions, request_id=None, metric_method=None):
        self.metric_type = MetricTypes.COUNTER
        self.dimensions = dimensions
        self.dimension_names = [d.name for d in dimensions]
        self.dimension_values = [d.value for d in dimensions]
        self._caching_metric = CachingMetric(name, unit, self.dimension_names, self.metric_type)
        self.name = name
        self.unit = self._caching_metric.unit
        self.value = value
        self.request_id = request_id
        self.metric_method = metric_method

    def update(self, value):
        self._caching_metric.add_or_update(value, self.dimension_values, self.request_id)

    def reset(self):
        self.update(0)

    def __str__(self):
        line = "%s.%s:%s|#%s|#hostname:%s,%d" % (
            self.name, self.unit, self.value, ",".join(str(d) for d in self.dimensions),
            _hostname(), time.time())
        return "%s,%s" % (line, self.request_id) if self.request_id else line

    def to_dict(self):
        return {"MetricName": self.name, "Value": self.value, "Unit": self.unit,
                "Dimensions": self.dimensions, "Timestamp": int(time.time()),
                "HostName": _hostname(), "RequestId": self.request_id}
