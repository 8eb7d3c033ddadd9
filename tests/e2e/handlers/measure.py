# SPDX-License-Identifier: Apache-2.0
"""Emits metrics of its own."""

from ts.metrics.metric_type_enum import MetricTypes


class Measure:
    def initialize(self, context):
        self.cached = context.metrics.add_metric_to_cache(
            metric_name="CacheFill", unit="count", dimension_names=["Shelf"],
            metric_type=MetricTypes.GAUGE)

    def handle(self, data, context):
        metrics = context.metrics
        metrics.add_counter("Visits", 2, None)
        metrics.add_time("Phase", 12.5, None, "ms")
        metrics.add_size("Weight", 3, None, "MB")
        metrics.add_percent("Share", 50)
        metrics.add_metric("Spread", value=0.3, unit="s", metric_type=MetricTypes.HISTOGRAM)
        self.cached.add_or_update(7, ["upper"])
        return ["measured" for _ in data]
