# SPDX-License-Identifier: Apache-2.0
"""What the values of a metric mean."""

import enum


class MetricTypes(enum.Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
