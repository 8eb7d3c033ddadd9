# SPDX-License-Identifier: Apache-2.0
"""The calls of `context.metrics`, whatever the file is that declares metrics beforehand."""

import abc
import os

from ts.metrics import metric_cache_errors as merrors
from ts.metrics.dimension import Dimension
from ts.metrics.metric_abstract import MetricAbstract
from ts.metrics.metric_type_enum import MetricTypes

_TIMES = ("ms", "s")
_SIZES = ("MB", "kB", "GB", "B")

# Scripts look for these texts.
TIME_UNITS = "the unit for a timed metric should be one of ['ms', 's']"
SIZE_UNITS = "The unit for size based metric is one of ['MB','kB', 'GB', 'B']"


class MetricCacheAbstract(abc.ABC):
    def __init__(self, config_file_path):
        self.cache = {}      # type -> name -> metric
        self.store = []
        self.request_ids = None
        self.model_name = None
        self.config_file_path = config_file_path
        try:
            os.path.exists(config_file_path)
        except Exception as e:
            raise merrors.MetricsCacheTypeError("Error loading %s file: %s"
                                                % (config_file_path, e)) from e

    @abc.abstractmethod
    def initialize_cache(self):
        """Adds the metrics that the file declares."""

    @abc.abstractmethod
    def get_metric(self, metric_name, metric_type=MetricTypes.COUNTER) -> MetricAbstract:
        """The metric, or MetricsCacheKeyError."""

    @abc.abstractmethod
    def add_metric_to_cache(self, metric_name, unit, dimension_names=None,
                            metric_type=MetricTypes.COUNTER):
        """Makes a metric; it replaces one of the same name and type."""

    @staticmethod
    def _check_type(variable, expected_type, helper_text):
        if not isinstance(variable, expected_type):
            raise merrors.MetricsCacheTypeError(helper_text)

    def set_request_ids(self, request_ids):
        self.request_ids = request_ids

    def for_batch(self):
        """The same metrics, with request ids of their own."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def _get_req(self, idx):
        """The id of request `idx` of the batch, or those of all."""
        ids = self.request_ids
        if not isinstance(ids, dict):
            return ids
        return ids[idx] if idx is not None and idx in ids else ",".join(ids.values())

    def _add_default_dims(self, request_id, dimensions):
        """A list of its own: the caller's is used again for the next metric."""
        whole = list(dimensions or ())
        names = [d.name for d in whole]
        if request_id is not None and "ModelName" not in names:
            whole.append(Dimension("ModelName", self.model_name))
        if "Level" not in names:
            whole.append(Dimension("Level", "Error" if request_id is None else "Model"))
        return whole

    def _get_or_add_metric(self, metric_name, unit, dimensions, metric_type):
        try:
            return self.cache[metric_type][metric_name]
        except KeyError:
            return self.add_metric_to_cache(metric_name, unit, [d.name for d in dimensions],
                                            metric_type)

    def _update(self, name, value, unit, request_id, dimensions, metric_type):
        dimensions = self._add_default_dims(request_id, dimensions)
        metric = self._get_or_add_metric(name, unit, dimensions, metric_type)
        metric.add_or_update(value, [d.value for d in dimensions], request_id or "")

    def add_metric(self, name, value, unit, idx=None, dimensions=None,
                   metric_type=MetricTypes.COUNTER):
        """Updates any metric. `idx`: of the request that it is about, None for all of the batch."""
        self._update(name, value, unit, self._get_req(idx), dimensions, metric_type)

    def add_counter(self, name, value, idx=None, dimensions=None):
        self._update(name, value, "count", self._get_req(idx), dimensions, MetricTypes.COUNTER)

    def add_time(self, name, value, idx=None, unit="ms", dimensions=None,
                 metric_type=MetricTypes.GAUGE):
        if unit not in _TIMES:
            raise merrors.MetricsCacheValueError(TIME_UNITS)
        self._update(name, value, unit, self._get_req(idx), dimensions, metric_type)

    def add_size(self, name, value, idx=None, unit="MB", dimensions=None,
                 metric_type=MetricTypes.GAUGE):
        if unit not in _SIZES:
            raise ValueError(SIZE_UNITS)
        self._update(name, value, unit, self._get_req(idx), dimensions, metric_type)

    def add_percent(self, name, value, idx=None, dimensions=None, metric_type=MetricTypes.GAUGE):
        self._update(name, value, "percent", self._get_req(idx), dimensions, metric_type)

    def add_error(self, name, value, dimensions=None):
        self._update(name, value, "", None, dimensions, MetricTypes.COUNTER)
