# SPDX-License-Identifier: Apache-2.0
"""What every metric has: a name, a unit, names of dimensions, a type."""

import abc

from ts.metrics.metric_type_enum import MetricTypes
from ts.metrics.unit import NAMES, Units

MetricUnit = Units()


class MetricAbstract(abc.ABC):
    def __init__(self, metric_name, unit, dimension_names=None, metric_type=MetricTypes.COUNTER):
        self.metric_name = metric_name
        self.unit = NAMES.get(unit, unit)
        self.dimension_names = dimension_names or []
        self.metric_type = metric_type

    @abc.abstractmethod
    def add_or_update(self, value, dimension_values, request_id=""):
        """Counts, sets or observes `value`."""
