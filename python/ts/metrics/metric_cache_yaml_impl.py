# SPDX-License-Identifier: Apache-2.0
"""`context.metrics`: the cache of a worker's metrics, some of them declared beforehand: in a YAML
file, or by the server.

The texts of errors are TorchServe's: scripts look for them.
"""

from ts.metrics import metric_cache_errors as merrors
from ts.metrics.caching_metric import CachingMetric
from ts.metrics.metric_cache_abstract import MetricCacheAbstract
from ts.metrics.metric_type_enum import MetricTypes
from ts.utils.packages import require

# What is there without a file and without a server that says.
_DECLARED = [{"name": name, "unit": "ms", "type": "gauge", "dimensions": ["ModelName", "Level"]}
             for name in ("HandlerTime", "PredictionTime")]

_NAME_TYPE = "`metric_name` must be a str"
_KIND_TYPE = "`metric_type` must be a MetricTypes enum"


class MetricsCacheYamlImpl(MetricCacheAbstract):
    """Declared in a YAML file, of whose sections `model_metrics` counts."""

    def __init__(self, config_file_path):
        super().__init__(config_file_path)
        self._parse_yaml_file(config_file_path)

    def _parse_yaml_file(self, config_file_path):
        if not config_file_path:
            raise merrors.MetricsCacheTypeError("Config file not initialized")
        yaml = require("yaml", "MetricsCacheYamlImpl")
        try:
            with open(config_file_path, encoding="utf-8") as f:
                self._parsed_file = yaml.safe_load(f)
        except yaml.YAMLError as e:
            raise merrors.MetricsCachePyYamlError("Error parsing file %s: %s"
                                                  % (config_file_path, e)) from e
        except OSError as e:
            raise merrors.MetricsCacheIOError("Error reading file %s: %s"
                                              % (config_file_path, e)) from e
        except Exception as e:
            raise merrors.GeneralMetricsCacheError("General error found in file %s: %s"
                                                   % (config_file_path, e)) from e

    def _parse_metrics_section(self, key="model_metrics"):
        try:
            return self._parsed_file[key]
        except KeyError as e:
            raise merrors.MetricsCacheKeyError("'%s' key not found in yaml file: %s"
                                               % (key, e)) from None

    def initialize_cache(self):
        section = self._parse_metrics_section("model_metrics")
        if not section:
            raise merrors.MetricsCacheValueError("Missing `model_metrics` specification")
        for kind, metrics in section.items():
            try:
                metric_type = MetricTypes(kind)
            except ValueError as e:
                raise merrors.MetricsCacheKeyError("Invalid metric type: %s" % e) from None
            for metric in metrics:
                try:
                    self._declare(metric, metric_type)
                except KeyError as e:
                    raise merrors.MetricsCacheKeyError("Key not found in cache spec: %s"
                                                       % e) from None

    def _declare(self, metric, metric_type):
        self.add_metric_to_cache(metric["name"], metric["unit"], metric["dimensions"],
                                 metric_type)

    def add_metric_to_cache(self, metric_name, unit, dimension_names=None,
                            metric_type=MetricTypes.COUNTER):
        self._check_type(metric_name, str, _NAME_TYPE)
        self._check_type(unit, str, "`unit` must be a str")
        self._check_type(metric_type, MetricTypes, _KIND_TYPE)
        if dimension_names:
            self._check_type(dimension_names, list,
                             "`dimension_names` should be a list of dimension name strings")
        metric = CachingMetric(metric_name, unit, dimension_names, metric_type)
        self.cache.setdefault(metric_type, {})[metric_name] = metric
        return metric

    def get_metric(self, metric_name, metric_type=MetricTypes.COUNTER):
        self._check_type(metric_name, str, _NAME_TYPE)
        self._check_type(metric_type, MetricTypes, _KIND_TYPE)
        try:
            return self.cache[metric_type][metric_name]
        except KeyError:
            raise merrors.MetricsCacheKeyError("Metric of type '%s' and name '%s' doesn't exist"
                                               % (metric_type, metric_name)) from None

    def cache_keys(self):
        return ["%s:%s" % (kind.value, name)
                for kind, metrics in self.cache.items() for name in metrics]


class WorkerMetricsCache(MetricsCacheYamlImpl):
    """Declared by the server, which has read its metrics_config: a list of dicts, or None."""

    def __init__(self, declared, request_ids, model_name):
        MetricCacheAbstract.__init__(self, "")
        self.request_ids = request_ids
        self.model_name = model_name
        self._declared = _DECLARED if declared is None else declared

    def initialize_cache(self):
        for metric in self._declared:
            self._declare(metric, MetricTypes(metric["type"]))
