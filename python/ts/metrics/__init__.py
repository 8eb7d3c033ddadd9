# SPDX-License-Identifier: Apache-2.0
"""Metrics that handlers emit. Submodules are imported when they are first looked at."""

_SUBMODULES = ("caching_metric", "dimension", "metric", "metric_encoder", "metrics_store",
               "system_metrics", "unit")


def __getattr__(name):
    if name not in _SUBMODULES:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    import importlib

    return importlib.import_module(__name__ + "." + name)
