#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the values of TorchServe's Helm chart into values of deploy/helm/sconce.

    deploy/tools/torchserve_values.py values.yaml [--config config.properties] > sconce.yaml

`--config` is the config.properties that TorchServe reads from the claim; ours has it as values.
What has no counterpart is told on the standard error, by its key; what makes no sense ends it
with 1.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import yaml

SCHEMA = Path(__file__).resolve().parents[1] / "helm/sconce/values.schema.json"
SIZE_MAX = 1 << 20
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
IMAGE = re.compile(r"[\w.:/@-]+")
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
MOUNT = "/home/model-server/shared/"     # tidy: allow machine: a place in the image
PORTS = {"inference_port": ("inference", 8080), "management_port": ("management", 8081),
         "metrics_port": ("metrics", 8082)}
# What the chart makes of other values; addresses are looked at for their ports.
ADDRESSES = ("inference_address", "management_address", "metrics_address")
OWN = {*ADDRESSES, "model_store", "tmp_dir", "log_location", "metrics_location", "key_file",
       "cache_dir", "keys_from"}


class Garbage(Exception):
    """What is wrong, with the key that has it."""


class Turned:
    """Our values so far, and what has to be told."""

    def __init__(self):
        self.values, self.told = {}, []

    def put(self, path, value):
        *folders, last = path.split(".")
        place = self.values
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value

    def tell(self, key, text):
        self.told.append(f"{key}: {text}")


# ---- what a value has to be ----

def an_object(key, value):
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Garbage(f"{key} has to be a map, not {value!r}")
    return value


def a_count(key, value, least=0, most=10000):
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Garbage(f"{key} has to be a number of {least} to {most}, not {value!r}")
    return value


def a_text(key, value, pattern, what):
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or \
            not pattern.fullmatch(str(value)):
        raise Garbage(f"{key} has to be {what}, not {value!r}")
    return str(value)


# ---- the keys of TorchServe's chart ----

def turn_image(out, key, value):
    image = a_text(key, value, IMAGE, "the name of an image")
    name, _, tag = image.rpartition("/")[2].partition(":")
    out.put("image.tag", "torch")
    if name != "torchserve" or "pytorch/torchserve" not in image:
        out.tell(key, f"{image} is an image of your own: put the packages of its handlers into one "
                      "that is made from sconce:python or sconce:torch, and name it in image")
    elif "gpu" in tag:
        out.tell(key, "sconce:torch is for processors and GPUs alike, as its PyTorch is built")


def turn_namespace(out, key, value):
    name = a_text(key, value, NAME, "the name of a namespace")
    out.tell(key, f"is no value here: helm install --namespace {name}")


def turn_replicas(out, key, value):
    out.put("workload.replicas", a_count(key, value))


def turn_port(out, key, value):
    name, usual = PORTS[key.rpartition(".")[2]]
    port = a_count(key, value, 1, 65535)
    if port != usual:
        out.put(f"ports.{name}", port)
        out.put(f"service.{name}.port", port)


def turn_grpc(out, key, value):
    a_count(key, value, 1, 65535)
    out.tell(key, "gRPC is not served by this version; the REST calls are")


def turn_mount(out, key, value):
    path = a_text(key, value, re.compile(r"/[\w./-]*"), "an absolute path").rstrip("/")
    out.put("modelStore.path", f"{path}/model-store")


def turn_gpus(out, key, value):
    if a_count(key, value, 0, 64):
        out.put("gpu.count", int(value))


def turn_cpus(out, key, value):
    cpus = a_text(key, value, QUANTITY, "a number of processors")
    out.put("resources.limits.cpu", cpus)
    out.values["resources"].setdefault("requests", {}).setdefault("cpu", cpus)


def turn_memory_limit(out, key, value):
    size = a_text(key, value, QUANTITY, "an amount of memory, as 4Gi")
    out.put("resources.limits.memory", size)
    out.values["resources"].setdefault("requests", {}).setdefault("memory", size)


def turn_memory_request(out, key, value):
    out.put("resources.requests.memory", a_text(key, value, QUANTITY, "an amount of memory"))


def turn_claim(out, key, value):
    out.put("modelStore.pvc.existingClaim", a_text(key, value, NAME, "the name of a claim"))


def turn_size(out, key, value):
    a_text(key, value, QUANTITY, "an amount of storage")
    out.tell(key, "the claim is there, and stays as it is; modelStore.pvc.size is for a new one")


KEYS = {
    "torchserve_image": turn_image,
    "namespace": turn_namespace,
    "deployment.replicas": turn_replicas,
    "torchserve.inference_port": turn_port,
    "torchserve.management_port": turn_port,
    "torchserve.metrics_port": turn_port,
    "torchserve.grpc_inference_port": turn_grpc,
    "torchserve.pvd_mount": turn_mount,
    "torchserve.n_gpu": turn_gpus,
    "torchserve.n_cpu": turn_cpus,
    "torchserve.memory_limit": turn_memory_limit,
    "torchserve.memory_request": turn_memory_request,
    "persistentVolume.name": turn_claim,
    # As documents of older versions spell it.
    "persistentVolume.size": turn_size,
    "persitant_volume.size": turn_size,
    "persistence.size": turn_size,
}
SECTIONS = {key.partition(".")[0] for key in KEYS if "." in key}


def leaves(values):
    """(key, value), the sections of the chart taken apart."""
    for key, value in values.items():
        if key in SECTIONS:
            for inner, leaf in an_object(key, value).items():
                yield f"{key}.{inner}", leaf
        else:
            yield str(key), value


def turn(values):
    out = Turned()
    # Clients know the Service by this name, and the claim has this layout.
    out.put("fullnameOverride", "torchserve")
    out.put("service.together", True)
    out.put("modelStore", {"kind": "pvc", "path": MOUNT + "model-store",
                           "pvc": {"existingClaim": "efs-claim", "subPath": "model-store"}})
    for key, value in leaves(an_object("the file", values)):
        if value is None:
            continue
        if key in KEYS:
            KEYS[key](out, key, value)
        else:
            out.tell(key, "is no value of TorchServe's chart, and was left out")
    return out


# ---- config.properties ----

def properties(text):
    """(key, value) of the lines, as Java reads them where people write them."""
    text = re.sub(r"\\\n[ \t]*", "", text.replace("\r\n", "\n"))
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#!":
            continue
        match = re.match(r"([\w.-]+)\s*[=:\s]\s*(.*)", line)
        if not match:
            raise Garbage(f"config.properties: line {number}: {line[:60]!r} is no key=value")
        yield match[1], re.sub(r"\\([\\:=#! ])", r"\1", match[2])


def as_wanted(schema, value):
    """The type that the chart's schema has for it; a value that is none stays a text."""
    kinds = schema.get("type") or [kind for one in schema.get("anyOf", [])
                                   for kind in [one["type"]]]
    if "boolean" in kinds and value in ("true", "false"):
        return value == "true"
    if "integer" in kinds and re.fullmatch(r"-?\d+", value):
        return int(value)
    if "number" in kinds and "object" not in kinds and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value)
    return value


def turn_setting(out, known, key, value):
    if key in ADDRESSES:
        port = re.fullmatch(r"https?://[^/]*?:(\d+)/?", value)
        name = key.partition("_")[0]
        if port and int(port[1]) != out.values.get("ports", {}).get(name, 8080 + list(
                ADDRESSES).index(key)):
            turn_port(out, f"{name}_port", int(port[1]))
        if value.startswith("https:"):
            out.tell(key, "TLS ends at the Ingress or the Gateway: see ingress.tls")
    elif key == "disable_token_authorization":
        out.put("auth.enabled", value != "true")
    elif key in OWN:
        out.tell(key, "is made from other values, and was left out")
    elif key in known:
        out.put(f"config.{key}", as_wanted(known[key], value))
    else:
        out.tell(key, "is no setting of sconce, and was left out")


def turn_config(out, text):
    known = json.loads(SCHEMA.read_text())["properties"]["config"]["properties"]
    for key, value in properties(text):
        turn_setting(out, known, key, value)


# ---- the command ----

def read(path):
    with open(path, "rb") as file:
        data = file.read(SIZE_MAX + 1)
    if len(data) > SIZE_MAX:
        raise Garbage(f"{path} is longer than a MiB")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Garbage(f"{path} is no text (UTF-8)") from None


def run(values, config=None):
    try:
        loaded = yaml.safe_load(read(values))
    except (yaml.YAMLError, RecursionError) as error:
        raise Garbage(f"{values} is no YAML: {str(error)[:300]}") from None
    out = turn(loaded)
    if config:
        turn_config(out, read(config))
    else:
        out.tell("--config", "was not given: what config/config.properties of the claim says is "
                             "not here")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("values", help="values.yaml of TorchServe's chart")
    parser.add_argument("--config", help="the config.properties of the claim")
    chosen = parser.parse_args()
    try:
        out = run(chosen.values, chosen.config)
    except (Garbage, OSError) as error:
        sys.exit(f"torchserve_values.py: {error}")
    for line in out.told:
        print(line, file=sys.stderr)
    print("# Values of deploy/helm/sconce, from those of TorchServe's chart.")
    yaml.safe_dump(out.values, sys.stdout, sort_keys=False)


if __name__ == "__main__":
    main()
