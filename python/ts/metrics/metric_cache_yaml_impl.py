# SPDX-License-Identifier: Apache-2.0
"""`context.metrics`: the cache of a worker's metrics, some of them declared in a YAML file."""

from ts.metrics import metric_cache_errors as merrors
from ts.metrics.caching_metric import CachingMetric
from ts.metrics.metric_cache_abstract import MetricCacheAbstract
from ts.metrics.metric_type_enum import MetricTypes

# What is there without a file and without a server that says.
_DECLARED = {"gauge": [{"name": name, "unit": "ms", "dimensions": ["ModelName", "Level"]}
                       for name in ("HandlerTime", "PredictionTime")]}


def _check_type(value, kind, name):
    if not isinstance(value, kind):
        raise merrors.MetricsCacheTypeError("%s must be a %s, not %r"
                                         % (name, kind.__name__, value))


def _read_section(path):
    """The `model_metrics` of the file."""
    import yaml

    try:
        with open(path, encoding="utf-8") as f:
            document = yaml.safe_load(f)
    except yaml.YAMLError as e:
        raise merrors.MetricsCachePyYamlError("%s: %s" % (path, e)) from e
    except OSError as e:
        raise merrors.MetricsCacheIOError("%s: %s" % (path, e)) from e
    except ValueError as e:
        raise merrors.GeneralMetricsCacheError("%s: %s" % (path, e)) from e
    if not isinstance(document, dict) or "model_metrics" not in document:
        raise merrors.MetricsCacheKeyError("%s has no section model_metrics" % path)
    if not isinstance(document["model_metrics"], dict):
        raise merrors.MetricsCacheValueError("%s: section model_metrics is empty" % path)
    return document["model_metrics"]


def _by_type(metrics):
    """The same section, from the list that the server gives its workers."""
    section = {}
    for metric in metrics:
        section.setdefault(metric["type"], []).append(metric)
    return section


class MetricsCacheYamlImpl(MetricCacheAbstract):
    def __init__(self, config_file_path=None, request_ids=None, model_name=None, declared=None):
        super().__init__(config_file_path, request_ids, model_name)
        if config_file_path:
            self._declared = _read_section(config_file_path)
        else:
            self._declared = _DECLARED if declared is None else _by_type(declared)

    def initialize_cache(self):
        for kind, metrics in self._declared.items():
            try:
                metric_type = MetricTypes(kind)
            except ValueError:
                raise merrors.MetricsCacheKeyError("%r is no type of metric" % kind) from None
            for metric in metrics or ():
                try:
                    name, unit, dimensions = metric["name"], metric["unit"], metric["dimensions"]
                except (KeyError, TypeError):
                    raise merrors.MetricsCacheKeyError(
                        "a metric needs name, unit and dimensions: %r" % metric) from None
                self.add_metric_to_cache(name, unit, dimensions, metric_type)

    def add_metric_to_cache(self, metric_name, unit, dimension_names=None,
                            metric_type=MetricTypes.COUNTER):
        _check_type(metric_name, str, "metric_name")
        _check_type(unit, str, "unit")
        _check_type(metric_type, MetricTypes, "metric_type")
        if dimension_names:
            _check_type(dimension_names, list, "dimension_names")
        metric = CachingMetric(metric_name, unit, dimension_names, metric_type)
        self.cache.setdefault(metric_type, {})[metric_name] = metric
        return metric

    def get_metric(self, metric_name, metric_type=MetricTypes.COUNTER):
        _check_type(metric_name, str, "metric_name")
        _check_type(metric_type, MetricTypes, "metric_type")
        try:
            return self.cache[metric_type][metric_name]
        except KeyError:
            raise merrors.MetricsCacheKeyError(
                "there is no %s named %s" % (metric_type.value, metric_name)) from None

    def cache_keys(self):
        return ["%s:%s" % (kind.value, name)
                for kind, metrics in self.cache.items() for name in metrics]
