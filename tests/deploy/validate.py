#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Objects (JSON, from the standard input) against the schemas of versions of Kubernetes.

    .venv-deploy/bin/python tests/deploy/validate.py 1.27 1.33

Prints a JSON list of what is wrong. Objects of other projects are checked by schemas of what we use
of them, below: a kind that is in neither is wrong, too.
"""

import functools
import json
import sys

import jsonschema
import kubernetes_validate
from kubernetes_validate import utils


def exactly(required, **properties):
    return {"type": "object", "additionalProperties": False, "required": required.split(),
            "properties": properties}


TEXT = {"type": "string", "minLength": 1}
NAMES = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 0}
OBJECTS = {"type": "array", "items": {"type": "object"}}
SELECTOR = exactly("matchLabels", matchLabels=NAMES)
ENDPOINTS = {"type": "array", "minItems": 1, "items": exactly(
    "port", port=TEXT, path=TEXT, interval=TEXT, scrapeTimeout=TEXT, relabelings=OBJECTS)}
RULE = {"oneOf": [
    exactly("alert expr", alert=TEXT, expr=TEXT, labels=NAMES, annotations=NAMES,
            **{"for": TEXT, "keep_firing_for": TEXT}),
    exactly("record expr", record=TEXT, expr=TEXT, labels=NAMES)]}
FORMAT = exactly("name", name=TEXT, version=TEXT, autoSelect={"type": "boolean"},
                 priority={"type": "integer", "minimum": 1})

# What the documents of each project say of the fields that we use.
OTHERS = {
    "keda.sh/v1alpha1/ScaledObject": exactly(
        "scaleTargetRef triggers",
        scaleTargetRef=exactly("name", apiVersion=TEXT, kind=TEXT, name=TEXT),
        minReplicaCount=COUNT, maxReplicaCount=COUNT, pollingInterval=COUNT, cooldownPeriod=COUNT,
        fallback=exactly("failureThreshold replicas", failureThreshold=COUNT, replicas=COUNT),
        advanced=exactly("horizontalPodAutoscalerConfig", horizontalPodAutoscalerConfig=exactly(
            "behavior", behavior={"type": "object"})),
        triggers={"type": "array", "minItems": 1, "items": exactly(
            "type metadata", type=TEXT, name=TEXT,
            metricType={"enum": ["AverageValue", "Value", "Utilization"]},
            metadata=NAMES)}),
    "monitoring.coreos.com/v1/ServiceMonitor": exactly(
        "selector endpoints", jobLabel=TEXT, selector=SELECTOR, endpoints=ENDPOINTS),
    "monitoring.coreos.com/v1/PodMonitor": exactly(
        "selector podMetricsEndpoints", jobLabel=TEXT, selector=SELECTOR,
        podMetricsEndpoints=ENDPOINTS),
    "monitoring.coreos.com/v1/PrometheusRule": exactly(
        "groups", groups={"type": "array", "items": exactly(
            "name rules", name=TEXT, interval=TEXT, rules={"type": "array", "items": RULE})}),
    "gateway.networking.k8s.io/v1/Gateway": exactly(
        "gatewayClassName listeners", gatewayClassName=TEXT,
        listeners={"type": "array", "minItems": 1, "items": exactly(
            "name protocol port", name=TEXT, protocol={"enum": ["HTTP", "HTTPS"]},
            port={"type": "integer"}, tls=exactly(
                "mode certificateRefs", mode={"const": "Terminate"}, certificateRefs=OBJECTS))}),
    "gateway.networking.k8s.io/v1/HTTPRoute": exactly(
        "parentRefs rules", parentRefs={**OBJECTS, "minItems": 1},
        hostnames={"type": "array", "items": TEXT},
        rules={"type": "array", "items": exactly(
            "matches backendRefs", timeouts=exactly("request", request=TEXT),
            matches={"type": "array", "items": exactly("path", path=exactly(
                "type value", type={"const": "PathPrefix"}, value=TEXT))},
            backendRefs={"type": "array", "items": exactly(
                "name port", name=TEXT, port={"type": "integer"})})}),
    "serving.kserve.io/v1alpha1/ClusterServingRuntime": exactly(
        "supportedModelFormats containers", annotations=NAMES, labels=NAMES,
        supportedModelFormats={"type": "array", "minItems": 1, "items": FORMAT},
        protocolVersions={"type": "array", "items": {"enum": ["v1", "v2", "grpc-v2"]}},
        multiModel={"type": "boolean"},
        containers={"type": "array", "minItems": 1, "items": {"type": "object"}},
        volumes=OBJECTS),
}


def identity(o):
    return f"{o.get('apiVersion')}/{o.get('kind')}"


def of_others(o):
    schema = {"type": "object", "required": ["apiVersion", "kind", "metadata", "spec"],
              "additionalProperties": False,
              "properties": {"apiVersion": TEXT, "kind": TEXT, "spec": OTHERS[identity(o)],
                             "metadata": exactly("name", name=TEXT, namespace=TEXT, labels=NAMES,
                                                 annotations=NAMES)}}
    jsonschema.Draft202012Validator(schema).validate(o)


def check(o, version):
    """None, or what is wrong."""
    try:
        if identity(o) in OTHERS:
            of_others(o)
        else:
            kubernetes_validate.validate(o, version, strict=True)
    except jsonschema.ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path)
        return f"{identity(o)} {o['metadata']['name']} ({version}): {where}: {error.message[:400]}"
    except utils.SchemaNotFoundError as error:
        return error.message
    return None


def main():
    utils.schema_contents = functools.lru_cache(None)(utils.schema_contents)
    objects = json.load(sys.stdin)
    found = [check(o, version) for version in sys.argv[1:] for o in objects]
    json.dump([text for text in found if text], sys.stdout)


if __name__ == "__main__":
    main()
