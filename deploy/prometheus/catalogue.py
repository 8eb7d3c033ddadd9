# SPDX-License-Identifier: Apache-2.0
"""Which metrics there are, from the documents alone, and whether a query keeps to them.

sconce's own are the table of docs/metrics.md, TorchServe's are docs/metrics.yaml; tests compare
both with what a server says. What rules record is deploy/prometheus/rules."""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(sconce_\w+)` \| (\w+) \| ([^|]*) \| (.+) \|$", re.M)
YAML_ROW = re.compile(r"- \{name: (\w+), unit: ([\w%]+), dimensions: (.+)\}$")
YAML_SET = re.compile(r"- &(\w+) \[(.+)\]$")
YAML_NAME = re.compile(r'- &(\w+) "(\w+)"$')
RECORD = re.compile(r"^ *- record: (\S+)$", re.M)
MODEL = ["model_name", "model_version", "hostname"]
# What Prometheus, or who configures it, puts beside the labels of a metric.
TARGET = {"job", "instance", "namespace", "pod", "node"}
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right",
         "bool", "offset", "inf", "nan", "le"}
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
DURATION = re.compile(r"\[[^\]]*\]")
LABEL_LIST = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)?\s*\{([^}]*)\}")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
NAME = re.compile(r"[a-zA-Z_:][\w:]*(?!\s*\()\b")


class UnknownMetric(Exception):
    """A query names what no server says."""


@dataclass
class Metric:
    name: str
    kind: str
    tells: str
    labels: set = field(default_factory=set)


def own_metrics(page):
    for name, kind, labels, tells in ROW.findall(page):
        words = [w.strip("`") for w in labels.split(", ") if w]
        labels = {label for w in words for label in (MODEL if w == "model" else [w])}
        if kind == "histogram":
            labels.add("le")
        for suffix in SUFFIXES[kind]:
            yield Metric(name + suffix, kind, tells, labels)


def torchserve_metrics(text):
    """docs/metrics.yaml, whose form is ours: no reader of YAML is needed for it."""
    names, kind = {}, ""
    for line in text.splitlines():
        line = line.strip()
        if match := YAML_NAME.match(line):
            names["*" + match[1]] = [match[2]]
        elif match := YAML_SET.match(line):
            names["*" + match[1]] = [d for word in match[2].split(", ")
                                     for d in names.get(word, [word])]
        elif line in ("counter:", "gauge:", "histogram:"):
            kind = line[:-1]
        elif match := YAML_ROW.match(line):
            dimensions = names.get(match[3]) or [
                d for word in match[3].strip("[]").split(", ") for d in names.get(word, [word])]
            for suffix in SUFFIXES[kind]:
                yield Metric(match[1] + suffix, kind, f"in {match[2]}",
                             {*dimensions, "Hostname", "hostname"})


def recorded(text):
    for name in RECORD.findall(text):
        yield Metric(name, "gauge", "recorded", {"model_name"})


def read():
    """Every metric, by the name of its samples."""
    found = {}
    for metrics in (own_metrics((ROOT / "docs/metrics.md").read_text()),
                    torchserve_metrics((ROOT / "docs/metrics.yaml").read_text()),
                    *(recorded(path.read_text())
                      for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))),
                    [Metric("up", "gauge", "Prometheus' own"),
                     Metric("scrape_duration_seconds", "gauge", "Prometheus' own"),
                     Metric("probe_ssl_earliest_cert_expiry", "gauge", "blackbox_exporter's",
                            {"service"})]):
        found.update({m.name: m for m in metrics})
    return found


def names_in(query):
    """The metrics that a query of PromQL names, and the labels by which it asks for them."""
    text = STRING.sub('""', query)
    text = re.sub(r"\$__\w+", "1m", text)
    text = DURATION.sub("", text)
    text = LABEL_LIST.sub("", text)
    selected = [(m[1], LABEL.findall(m[2])) for m in SELECTOR.finditer(text)]
    text = re.sub(r"\{[^}]*\}", "", text)
    text = re.sub(r"\b\d+(\.\d+)?(e[+-]?\d+|[smhdwy])?\b", "", text)
    names = {n for n in NAME.findall(text) if n not in WORDS}
    return names, selected


def check(query, metrics):
    """Raises UnknownMetric for a name that no server says, or a label that it does not have."""
    names, selected = names_in(query)
    for name in sorted(names):
        if name not in metrics:
            raise UnknownMetric(f"{name}: in neither docs/metrics.md nor metrics.yaml: {query}")
    if not names:
        raise UnknownMetric(f"no metric in: {query}")
    for name, labels in selected:
        unknown = set(labels) - metrics[name].labels - TARGET if name else set()
        if unknown:
            raise UnknownMetric(f"{name} has no label {', '.join(sorted(unknown))}: {query}")
    return query
