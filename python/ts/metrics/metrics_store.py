# SPDX-License-Identifier: Apache-2.0
"""The deprecated predecessor of MetricsCacheYamlImpl: every metric is a counter."""

from ts.metrics.dimension import Dimension
from ts.metrics.metric import Metric
from ts.metrics.metric_cache_abstract import SIZE_UNITS, TIME_UNITS


class MetricsStore:
    def __init__(self, request_ids, model_name):
        self.store = []
        self.request_ids = request_ids
        self.model_name = model_name
        self.cache = {}

    def _get_req(self, idx):
        ids = self.request_ids
        if not isinstance(ids, dict):
            return ids
        return ids[idx] if idx is not None and idx in ids else ",".join(ids.values())

    def _add_or_update(self, name, value, req_id, unit, metrics_method=None, dimensions=None):
        if dimensions is not None and not isinstance(dimensions, list):
            raise ValueError("Please provide a list of dimensions")
        whole = list(dimensions or ())
        if req_id is not None:
            whole.append(Dimension("ModelName", self.model_name))
        whole.append(Dimension("Level", "Error" if req_id is None else "Model"))
        key = "-".join([name, unit, str(req_id)] + [str(d) for d in whole])
        metric = self.cache.get(key)
        if metric is None:
            metric = self.cache[key] = Metric(name, value, unit, whole, req_id, metrics_method)
            self.store.append(metric)
        metric.update(value)    # what is in the store keeps its first value

    def add_metric(self, name, value, unit, idx=None, dimensions=None):
        self._add_or_update(name, value, self._get_req(idx), unit, None, dimensions)

    def add_counter(self, name, value, idx=None, dimensions=None):
        self._add_or_update(name, value, self._get_req(idx), "count", "counter", dimensions)

    def add_time(self, name, value, idx=None, unit="ms", dimensions=None):
        if unit not in ("ms", "s"):
            raise ValueError(TIME_UNITS)
        self._add_or_update(name, value, self._get_req(idx), unit, None, dimensions)

    def add_size(self, name, value, idx=None, unit="MB", dimensions=None):
        if unit not in ("MB", "kB", "GB", "B"):
            raise ValueError(SIZE_UNITS)
        self._add_or_update(name, value, self._get_req(idx), unit, None, dimensions)

    def add_percent(self, name, value, idx=None, dimensions=None):
        self._add_or_update(name, value, self._get_req(idx), "percent", None, dimensions)

    def add_error(self, name, value, dimensions=None):
        self._add_or_update(name, value, None, "", None, dimensions)
