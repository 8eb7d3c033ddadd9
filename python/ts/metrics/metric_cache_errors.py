# SPDX-License-Identifier: Apache-2.0
"""What a metrics cache raises."""


class GeneralMetricsCacheError(Exception):
    def __init__(self, message):
        super().__init__("Generic error: %s" % message)


class MetricsCacheIOError(IOError):
    def __init__(self, message):
        super().__init__("Error reading file: %s" % message)


class MetricsCacheTypeError(TypeError):
    def __init__(self, message):
        super().__init__(str(message))


class MetricsCacheValueError(ValueError):
    def __init__(self, message):
        super().__init__(str(message))


class MetricsCacheKeyError(KeyError):
    def __init__(self, message):
        super().__init__(str(message))


def __getattr__(name):
    """MetricsCachePyYamlError has a base class in PyYAML, which hardly any handler needs."""
    if name != "MetricsCachePyYamlError":
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    import yaml

    class MetricsCachePyYamlError(yaml.YAMLError):
        def __init__(self, message):
            super().__init__("Error parsing file: %s" % message)

    globals()[name] = MetricsCachePyYamlError
    return MetricsCachePyYamlError
