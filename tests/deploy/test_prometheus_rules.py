# SPDX-License-Identifier: Apache-2.0
"""deploy/prometheus: the rules are well formed, do what they say, and name only what there is."""

import re
import shutil
import subprocess
import sys

import pytest
import yaml

from deploy.test_contents import DEPLOY
from docs.test_pages import anchors

sys.path.insert(0, str(DEPLOY / "prometheus"))

import catalogue    # noqa: E402

FOLDER = DEPLOY / "prometheus"
RULES = [rule for path in sorted((FOLDER / "rules").glob("*.yml"))
         for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


def promtool(*words):
    assert shutil.which("promtool"), "promtool is missing: tools/setup.sh test installs prometheus"
    done = subprocess.run(["promtool", *words], cwd=FOLDER, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_the_example_and_its_rules_are_well_formed():
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", *(f"rules/{path.name}" for path in (FOLDER / "rules").iterdir()))


def test_every_alert_fires_and_keeps_quiet():
    promtool("test", "rules", "tests.yml")
    shown = {}
    for test in yaml.safe_load((FOLDER / "tests.yml").read_text())["tests"]:
        for case in test.get("alert_rule_test", []):
            shown.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert shown == {name: {True, False} for name in ALERTS}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_is_and_where_to_read_on(name):
    rule = ALERTS[name]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor == name.lower()
    assert anchor in anchors((DEPLOY.parent / page).read_text())
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in ("critical", "warning")


def test_every_section_of_the_page_is_an_alert():
    page = (DEPLOY.parent / "docs/alerts.md").read_text()
    assert re.findall(r"^### (\w+)$", page, re.M) == list(ALERTS)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.get("alert") or r["record"])
def test_rules_name_metrics_that_there_are(rule):
    catalogue.check(rule["expr"], catalogue.read())


def test_the_adapter_serves_what_is_recorded():
    rules = yaml.safe_load((FOLDER / "adapter.yml").read_text())["externalRules"]
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    for rule in rules:
        [name] = {name for name in recorded if name in rule["metricsQuery"]}
        assert rule["seriesQuery"] == name + '{namespace!=""}'


@pytest.mark.parametrize("query,why", [
    ("sum(sconce_nothing)", "sconce_nothing: in neither"),
    ('rate(sconce_workers{state="x"}[5m])', "sconce_workers has no label state"),
    ("sconce_request_duration_seconds", "in neither"),      # a histogram has no such sample
    ("vector(1)", "no metric in"),
])
def test_a_metric_that_is_not_there_is_refused(query, why):
    with pytest.raises(catalogue.UnknownMetric, match=why):
        catalogue.check(query, catalogue.read())
