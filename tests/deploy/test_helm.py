# SPDX-License-Identifier: Apache-2.0
"""The chart: what it renders, and what it refuses. No cluster is needed."""

import base64
import json
import re
import shutil
import subprocess

import pytest
import yaml

from deploy.kubernetes import (CHART, HOME, NEWEST, OLDEST, ROOT, TODAY, VALUES, complaints, helm,
                               kinds, one, pod, python_of_tests, refused, render, rendering, run,
                               tool, workload)
from e2e.server import BIN

FILES = sorted(VALUES.glob("*.yaml"))
SUM = "0" * 64
FETCH = {"kind": "fetch", "fetch": {"models": [
    {"name": "cat.mar", "url": "https://models.example/cat.mar", "sha256": SUM}]}}

# name: values. Each is rendered and checked; what it means is tested below.
MATRIX = {
    "defaults": {},
    "stateful": {"workload": {"kind": "StatefulSet"}, "modelStore": {"kind": "pvc"}},
    "claim": {"modelStore": {"kind": "pvc", "pvc": {"existingClaim": "models", "subPath": "a",
                                                    "readOnly": True}}},
    "fetch": {"modelStore": FETCH},
    "fetch into a claim": {"modelStore": {**FETCH, "fetch": {
        **FETCH["fetch"], "into": "pvc", "existingSecret": "list", "prune": True,
        "env": [{"name": "https_proxy", "value": "http://proxy:3128"}]}}},
    "image volume": {"modelStore": {"kind": "imageVolume", "imageVolume": {
        "reference": "registry.example/models:3", "subPath": "models"}}},
    "no keys": {"auth": {"enabled": False}},
    "keys of a Secret": {"auth": {"existingSecret": "shop-keys", "secretKey": "k.json"}},
    "services": {"service": {"inference": {"type": "NodePort", "nodePort": 30080},
                             "management": {"enabled": False}, "metrics": {"enabled": False}}},
    "services in one": {"service": {"together": True}},
    "ingress": {"ingress": {"enabled": True, "className": "nginx", "annotations": {"a": "b"},
                            "hosts": [{"host": "a.example"}, {"host": "b.example", "paths": [
                                {"path": "/predictions", "pathType": "Exact"}]}],
                            "tls": [{"secretName": "tls", "hosts": ["a.example"]}]}},
    "gateway": {"gateway": {"enabled": True, "parentRefs": [{"name": "public"}]}},
    "own gateway": {"gateway": {"enabled": True, "hostnames": ["a.example"], "create": {
        "enabled": True, "className": "envoy", "tlsSecretName": "tls"}}},
    "placement": {"gpu": {"count": 2, "nodeSelector": {"gpu": "h200"}},
                  "nodeSelector": {"pool": "a"},
                  "tolerations": [{"key": "x", "operator": "Exists"}],
                  "antiAffinity": "hard", "zoneSpread": "hard", "priorityClassName": "high",
                  "runtimeClassName": "nvidia", "schedulerName": "other",
                  "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                      "nodeSelectorTerms": [{"matchExpressions": [
                          {"key": "a", "operator": "Exists"}]}]}}},
                  "topologySpreadConstraints": [{
                      "maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway"}]},
    "hpa": {"autoscaling": {"hpa": {"enabled": True}}},
    "keda": {"autoscaling": {"keda": {"enabled": True, "fallback": {
        "failureThreshold": 3, "replicas": 2}}}},
    "keda to zero": {"autoscaling": {"keda": {"enabled": True, "minReplicas": 0,
                                              "wake": {"query": "sum(rate(requests[1m]))"}}}},
    "monitoring": {"monitoring": {kind: {"enabled": True} for kind in (
        "serviceMonitor", "podMonitor", "prometheusRule", "dashboards")}},
    "network policy": {"networkPolicy": {
        "enabled": True, "inferenceFrom": [{"podSelector": {"matchLabels": {"app": "shop"}}}],
        "metricsFrom": [{"namespaceSelector": {}}], "egress": [{"ports": [{"port": 443}]}]}},
    "extras": {"env": [{"name": "A", "value": "b"}], "envFrom": [{"secretRef": {"name": "s"}}],
               "extraVolumes": [{"name": "x", "emptyDir": {}}],
               "extraVolumeMounts": [{"name": "x", "mountPath": "/x"}],
               "extraInitContainers": [{"name": "i", "image": "busybox"}],
               "extraContainers": [{"name": "c", "image": "busybox"}],
               "podLabels": {"team": "a"}, "podAnnotations": {"note": "b"},
               "commonLabels": {"cost": "c"}, "commonAnnotations": {"owner": "d"},
               "imagePullSecrets": [{"name": "registry"}], "modelStore": FETCH,
               "cache": {"kind": "ephemeral", "storageClass": "fast"}, "sharedMemory": "1Gi",
               "volumes": {"work": {"sizeLimit": "5Gi"}, "tmp": {"medium": "Memory"}},
               "image": {"digest": "sha256:" + SUM}},
}


@pytest.fixture(scope="module")
def matrix():
    return {name: render(values) for name, values in MATRIX.items()}


@pytest.fixture(scope="module")
def examples():
    return {path.stem: render(files=[path]) for path in FILES}


# ---- as a whole ----

@pytest.mark.parametrize("values", [None, *FILES], ids=lambda path: path.stem if path else "none")
def test_lint(values):
    done = helm("lint", "--strict", CHART, *(["--values", values] if values else []))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_object_is_one_that_kubernetes_takes(matrix, examples):
    everything = [o for objects in [*matrix.values(), *examples.values()] for o in objects]
    assert {"ScaledObject", "HTTPRoute", "PrometheusRule", "NetworkPolicy"} <= kinds(everything)
    older = [o for o in everything if "image" not in json.dumps(o.get("spec", {}).get(
        "template", {}).get("spec", {}).get("volumes", []))]
    assert complaints(everything, TODAY, NEWEST) + complaints(older, "1.30") == []


def test_the_oldest_kubernetes():
    """Without the action `sleep`, which it does not know."""
    objects = render(version=OLDEST)
    assert complaints(objects, OLDEST) == []
    assert pod(objects)["containers"][0]["lifecycle"]["preStop"] == \
        {"exec": {"command": ["sleep", "5"]}}


def test_names_differ_and_stay_short():
    objects = render(release="a" * 53, values={"workload": {"kind": "StatefulSet"}})
    names = [(o["kind"], o["metadata"]["name"]) for o in objects]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 for _, name in names)


def test_kubectl_reads_what_is_rendered(tmp_path):
    """`kubectl kustomize` works without a server; --dry-run=client asks one for its kinds."""
    (tmp_path / "all.yaml").write_text(rendering(files=[VALUES / "many-models.yaml"]).stdout)
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [all.yaml]\nnamePrefix: stage-\nimages: [{name: sconce, newTag: next}]\n")
    done = run([tool("kubectl"), "kustomize", tmp_path])
    assert done.returncode == 0, done.stderr
    objects = list(yaml.safe_load_all(done.stdout))
    assert pod(objects)["containers"][0]["image"] == "sconce:next"
    assert workload(objects)["spec"]["serviceName"] == "stage-shop-sconce-headless"


def test_the_package_has_what_the_chart_has(tmp_path):
    """Rules and dashboards are links to where they are kept; a package has the files."""
    assert helm("package", CHART, "--destination", tmp_path).returncode == 0
    packed = next(tmp_path.glob("sconce-*.tgz"))
    values = json.dumps(MATRIX["monitoring"])
    from_package = helm("template", "shop", packed, "--values", "-", "--namespace", "models",
                        "--set", "auth.enabled=false", stdin=None, input=values)
    from_folder = rendering(MATRIX["monitoring"], more=["--set", "auth.enabled=false"])
    assert from_package.returncode == 0, from_package.stderr
    assert from_package.stdout == from_folder.stdout


def test_the_settings_in_the_schema_are_those_of_the_server():
    done = subprocess.run([python_of_tests(), ROOT / "deploy/tools/chart_schema.py", "--check"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- what is refused ----

@pytest.mark.parametrize("values, said", [
    ({"replicas": 3}, "additional properties 'replicas' not allowed"),
    ({"workload": {"replica": 3}}, "at '/workload': additional properties 'replica' not allowed"),
    ({"config": {"job_queue_sise": 5}}, "additional properties 'job_queue_sise' not allowed"),
    ({"config": {"job_queue_size": 0}}, "at '/config/job_queue_size': minimum: got 0, want 1"),
    ({"config": {"metrics_mode": "prom"}}, "at '/config/metrics_mode': value must be one of"),
    ({"config": {"inference_address": "x"}}, "additional properties 'inference_address'"),
    ({"workload": {"kind": "DaemonSet"}}, "at '/workload/kind'"),
    ({"ports": {"inference": 0}}, "at '/ports/inference'"),
    ({"service": {"inference": {"port": "http"}}}, "at '/service/inference/port'"),
    ({"modelStore": {"fetch": {"models": [{"name": "a.mar", "url": "https://x/a"}]}}},
     "missing property 'sha256'"),
    ({"modelStore": {"fetch": {"models": [{"name": "a.mar", "url": "https://x/a",
                                           "sha256": "12"}]}}}, "/fetch/models/0/sha256'"),
    ({"modelStore": {"fetch": {"models": [{"name": "../a", "url": "https://x/a",
                                           "sha256": SUM}]}}}, "/fetch/models/0/name'"),
    ({"resources": {"limits": {"memory": "2 GB"}}}, "at '/resources/limits/memory'"),
    ({"probes": {"readiness": {"path": "/ping"}}}, "additional properties 'path'"),
    ({"modelStore": {"kind": "fetch"}}, "modelStore.fetch.models or"),
    ({"modelStore": {"kind": "imageVolume"}}, "modelStore.imageVolume.reference has to name"),
    ({"modelStore": {"kind": "pvc", "pvc": {"accessModes": ["ReadWriteOnce"]}},
      "workload": {"replicas": 2}}, "modelStore.pvc.accessModes: more than one Pod"),
    ({"autoscaling": {"hpa": {"enabled": True}, "keda": {"enabled": True}}}, "enable one of them"),
    ({"autoscaling": {"keda": {"enabled": True, "minReplicas": 0}}}, "wake.query has to say"),
    ({"shutdown": {"gracePeriodSeconds": 30}}, "need 60: requests would be cut off"),
    ({"ingress": {"enabled": True}}, "ingress.hosts has to name"),
    ({"gateway": {"enabled": True}}, "gateway.parentRefs has to name"),
    ({"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 0}}, "not both"),
    ({"networkPolicy": {"enabled": True}, "modelStore": FETCH}, "networkPolicy.egress is empty"),
    ({"monitoring": {"serviceMonitor": {"enabled": True}},
      "service": {"metrics": {"enabled": False}}}, "needs service.metrics.enabled"),
])
def test_values_that_are_refused(values, said):
    assert said in refused(values), refused(values)


# ---- config.properties ----

def properties(objects):
    return one(objects, "ConfigMap", "-sconce")["data"]["config.properties"]


def effective(text, folder):
    """{setting: value} as the real server reads them from this file."""
    (folder / "config.properties").write_text(text)
    done = run([BIN / "sconce", "settings", "--effective", "--ts-config",
                folder / "config.properties"], cwd=folder)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "warning" not in done.stderr, done.stderr
    lines = [re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()]
    return {line[0]: line[1] for line in lines if len(line) > 1}


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_the_server_takes_the_settings(examples, name, tmp_path):
    found = effective(properties(examples[name]), tmp_path)
    assert found["inference_address"] == "http://0.0.0.0:8080"
    assert found["model_store"] == f"{HOME}/model-store"
    assert found["metrics_mode"] == "prometheus"


def test_values_arrive_as_they_were_meant(tmp_path):
    config = {"max_request_size": 104857600, "token_expiration_min": 1.5, "retry": False,
              "allowed_urls": "https://a\\.b/.*,file://.*", "cors_allowed_origin": " two  words\\",
              "models": {"cat": {"1.0": {"minWorkers": 2, "batchSize": 8}}},
              "zygote": False, "queue_full_status": 429, "memory_budget": None}
    objects = render({"config": config, "ports": {"inference": 9000},
                      "service": {"management": {"enabled": False}},
                      "extraConfig": "log_level=debug"})
    found = effective(properties(objects), tmp_path)
    assert found["max_request_size"] in ("104857600", "100m")
    assert (found["token_expiration_min"], found["retry"]) == ("1.5", "false")
    assert found["allowed_urls"] == "https://a\\.b/.*,file://.*"
    assert json.loads(found["models"]) == config["models"]
    assert (found["zygote"], found["queue_full_status"]) == ("false", "429")
    assert found["inference_address"] == "http://0.0.0.0:9000"
    assert found["management_address"] == "http://127.0.0.1:8081"
    assert found["log_level"] == "debug"


def test_a_change_of_the_config_rolls_the_pods(matrix):
    def annotations(values):
        return workload(render(values))["spec"]["template"]["metadata"]["annotations"]
    before = workload(matrix["defaults"])["spec"]["template"]["metadata"]["annotations"]
    assert annotations({}) == before
    assert annotations({"config": {"job_queue_size": 7}}) != before
    other = json.loads(json.dumps(FETCH).replace(SUM, "1" * 64))
    assert annotations({"modelStore": FETCH}) != annotations({"modelStore": other})


# ---- the Pod ----

def test_the_pod_is_locked_down(matrix):
    for objects in matrix.values():
        spec = pod(objects)
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 1000
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        own = [c for c in spec["containers"] + spec.get("initContainers", [])
               if c["name"] in ("sconce", "models")]
        assert own
        for container in own:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]}}
            assert container["resources"]["limits"]["memory"]


def test_what_is_written_to_is_a_volume(matrix):
    mounts = {m["mountPath"] for m in pod(matrix["defaults"])["containers"][0]["volumeMounts"]}
    text = properties(matrix["defaults"])
    assert re.search(r"^tmp_dir=(.*)$", text, re.M)[1] in mounts
    assert "log_location=\n" in text and "metrics_location=\n" in text


def test_probes(matrix):
    container = pod(matrix["defaults"])["containers"][0]
    paths = {kind: container[kind + "Probe"]["httpGet"]["path"]
             for kind in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/livez", "readiness": "/readyz", "liveness": "/livez"}
    off = pod(render({"probes": {"startup": {"enabled": False}}}))["containers"][0]
    assert "startupProbe" not in off


def test_the_end_leaves_time_for_the_drain():
    spec = pod(render({"config": {"drain_timeout": 300}, "shutdown": {"preStopSeconds": 10}}))
    assert spec["terminationGracePeriodSeconds"] == 335
    assert spec["containers"][0]["lifecycle"]["preStop"] == {"sleep": {"seconds": 10}}
    spec = pod(render({"config": {"drain_timeout": 0}, "shutdown": {"preStopSeconds": 0}}))
    assert "lifecycle" not in spec["containers"][0]
    assert spec["terminationGracePeriodSeconds"] == 25


def test_a_rollout_takes_nothing_away_first(matrix):
    strategy = workload(matrix["defaults"])["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert workload(matrix["stateful"])["spec"]["updateStrategy"] == {"type": "RollingUpdate"}


@pytest.mark.parametrize("values, budget", [
    ({}, {"maxUnavailable": 1}), ({"maxUnavailable": 0}, {"maxUnavailable": 0}),
    ({"maxUnavailable": "30%"}, {"maxUnavailable": "30%"}),
    ({"minAvailable": 2}, {"minAvailable": 2}),
])
def test_disruption_budgets(values, budget):
    spec = one(render({"podDisruptionBudget": values}), "PodDisruptionBudget")["spec"]
    assert {k: v for k, v in spec.items() if k.endswith("vailable")} == budget


def test_gpus(matrix):
    spec = pod(matrix["placement"])
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert spec["nodeSelector"] == {"gpu": "h200", "pool": "a"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} \
        in spec["tolerations"]
    assert set(spec["affinity"]) == {"nodeAffinity", "podAntiAffinity"}
    assert [c["topologyKey"] for c in spec["topologySpreadConstraints"]] == \
        ["rack", "topology.kubernetes.io/zone"]


# ---- models ----

def test_models_are_fetched_before_the_start(matrix):
    spec = pod(matrix["fetch"])
    fetch = spec["initContainers"][-1]
    assert fetch["args"][-1] == "/etc/sconce/config/models.list"
    assert f"cat.mar {SUM} https://models.example/cat.mar" in \
        one(matrix["fetch"], "ConfigMap", "-sconce")["data"]["models.list"]
    store = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "models"]
    assert store in [[m for m in fetch["volumeMounts"] if m["name"] == "models"]]
    assert store[0]["mountPath"] == f"{HOME}/model-store"
    args = pod(matrix["fetch into a claim"])["initContainers"][-1]["args"]
    assert args[-2:] == ["/etc/sconce/config/models.list", "/etc/sconce/models/models.list"]
    assert "--prune" in args


def test_claims(matrix):
    claim = one(matrix["fetch into a claim"], "PersistentVolumeClaim", "-models")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "PersistentVolumeClaim" not in kinds(matrix["claim"])
    assert [c["metadata"]["name"] for c in
            workload(matrix["stateful"])["spec"]["volumeClaimTemplates"]] == ["models"]


# ---- keys ----

def test_keys(matrix):
    secret = one(matrix["defaults"], "Secret")
    keys = json.loads(base64.b64decode(secret["data"]["keys.json"]))
    assert {kind: len(entry["key"]) for kind, entry in keys.items()} == \
        {"inference": 32, "management": 32}
    assert "keys_from=/etc/sconce/keys/keys.json\n" in properties(matrix["defaults"])
    assert "Secret" not in kinds(matrix["keys of a Secret"])
    assert "keys_from=/etc/sconce/keys/k.json\n" in properties(matrix["keys of a Secret"])
    assert "disable_token_authorization=true\n" in properties(matrix["no keys"])
    assert "Secret" not in kinds(matrix["no keys"])


# ---- services, routes, policies ----

def test_every_target_is_a_port_of_the_pod(matrix, examples):
    for objects in [*matrix.values(), *examples.values()]:
        named = {p["name"] for p in pod(objects)["containers"][0]["ports"]}
        labels = workload(objects)["spec"]["template"]["metadata"]["labels"]
        for service in (o for o in objects if o["kind"] == "Service"):
            assert {p["targetPort"] for p in service["spec"]["ports"]} <= named
            assert service["spec"]["selector"].items() <= labels.items()


def test_nobody_manages_from_outside_unless_named(matrix):
    rules = one(matrix["network policy"], "NetworkPolicy")["spec"]["ingress"]
    assert [rule["ports"][0]["port"] for rule in rules] == ["inference", "metrics"]
    assert all(rule["from"] for rule in rules)
    rules = one(render({"networkPolicy": {"enabled": True}}), "NetworkPolicy")["spec"]["ingress"]
    assert [rule["ports"][0]["port"] for rule in rules] == ["inference"]


def test_routes(matrix):
    route = one(matrix["gateway"], "HTTPRoute")["spec"]
    assert route["rules"][0]["backendRefs"] == [{"name": "shop-sconce", "port": 8080}]
    assert "Gateway" not in kinds(matrix["gateway"])
    own = one(matrix["own gateway"], "HTTPRoute")["spec"]
    name = one(matrix["own gateway"], "Gateway")["metadata"]["name"]
    assert own["parentRefs"] == [{"name": name}]
    rules = one(matrix["ingress"], "Ingress")["spec"]["rules"]
    assert [r["http"]["paths"][0]["path"] for r in rules] == ["/", "/predictions"]


# ---- scaling and monitoring ----

def test_who_scales_sets_the_number(matrix):
    for name in ("hpa", "keda"):
        assert "replicas" not in workload(matrix[name])["spec"]
    hpa = one(matrix["hpa"], "HorizontalPodAutoscaler")["spec"]
    names = [m["pods"]["metric"]["name"] for m in hpa["metrics"]]
    adapter = yaml.safe_load((ROOT / "deploy/helm/prometheus-adapter.yaml").read_text())
    assert names == [rule["name"]["as"] for rule in adapter["rules"]["custom"]]
    assert one(matrix["keda to zero"], "ScaledObject")["spec"]["minReplicaCount"] == 0


def promql(matrix):
    """{name: query} of the HPA's and of KEDA's signals."""
    triggers = one(matrix["keda"], "ScaledObject")["spec"]["triggers"]
    found = {"keda " + t["name"]: t["metadata"]["query"] for t in triggers}
    adapter = yaml.safe_load((ROOT / "deploy/helm/prometheus-adapter.yaml").read_text())
    for rule in adapter["rules"]["custom"]:
        query = rule["metricsQuery"].replace("<<.GroupBy>>", "pod")
        found["hpa " + rule["name"]["as"]] = query.replace(
            "<<.LabelMatchers>>", 'namespace="models",pod=~"shop-sconce-a|shop-sconce-b"')
    return found


# (family, namespace, Pod, model): its samples, one each 15 s.
SAMPLES = {
    ("sconce_worker_busy_seconds_total", "models", "a", "cat"): "0+24x20",
    ("sconce_workers_ready", "models", "a", "cat"): "2x20",
    ("sconce_worker_busy_seconds_total", "models", "a", "idle"): "0x20",
    ("sconce_workers_ready", "models", "a", "idle"): "8x20",
    ("sconce_worker_busy_seconds_total", "models", "b", "cat"): "0+6x20",
    ("sconce_workers_ready", "models", "b", "cat"): "2x20",
    ("sconce_queue_wait_seconds", "models", "a", "cat"): "0.5x20",
    ("sconce_queue_wait_seconds", "models", "a", "idle"): "0x20",
    ("sconce_queue_wait_seconds", "models", "b", "cat"): "0.1x20",
    ("sconce_queue_wait_seconds", "other", "b", "cat"): "9x20",
}


def series():
    return [{"series": f'{family}{{namespace="{namespace}",pod="shop-sconce-{pod_name}",'
                       f'model_name="{model}"}}', "values": values}
            for (family, namespace, pod_name, model), values in SAMPLES.items()]


def test_the_signals_are_what_they_should_be(matrix, tmp_path):
    """In Prometheus: two Pods, one of which has a model that drowns beside one that idles."""
    if not shutil.which("promtool"):
        pytest.fail("promtool is missing: tools/setup.sh test")
    a, b = '{pod="shop-sconce-a"}', '{pod="shop-sconce-b"}'
    expected = {
        "keda utilization": [("{}", 1.0)], "keda queue-wait": [("{}", 0.6)],
        "hpa sconce_worker_utilization": [(a, 0.8), (b, 0.2)],
        "hpa sconce_queue_wait_seconds": [(a, 0.5), (b, 0.1)]}
    queries = promql(matrix)
    assert queries.keys() == expected.keys()
    loaded = {"interval": "15s", "input_series": series(), "promql_expr_test": [
        {"expr": queries[name], "eval_time": "4m",
         "exp_samples": [{"labels": labels, "value": value} for labels, value in samples]}
        for name, samples in expected.items()]}
    nobody = {"interval": "15s", "input_series": [], "promql_expr_test": [
        {"expr": query, "eval_time": "4m", "exp_samples": [{"labels": "{}", "value": 0}]}
        for name, query in queries.items() if name.startswith("keda")]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(
        {"evaluation_interval": "15s", "rule_files": [], "tests": [loaded, nobody]}))
    done = run(["promtool", "test", "rules", tmp_path / "tests.yaml"])
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_those_of_the_folder(matrix):
    """Alerts have templates of Prometheus' own, which Helm must leave alone."""
    rendered = one(matrix["monitoring"], "PrometheusRule")["spec"]["groups"]
    files = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
    kept = [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]
    assert kept and sorted(rendered, key=lambda g: g["name"]) == \
        sorted(kept, key=lambda g: g["name"])


def test_the_dashboards_are_those_of_the_folder(matrix):
    data = one(matrix["monitoring"], "ConfigMap", "-dashboards")["data"]
    kept = {path.name: json.loads(path.read_text())
            for path in (ROOT / "deploy/grafana").glob("*.json")}
    assert kept and {name: json.loads(text) for name, text in data.items()} == kept
    assert sum(map(len, data.values())) < 900_000     # Kubernetes takes a MiB


def test_the_notes_tell_the_next_commands():
    done = helm("install", "shop", CHART, "--dry-run=client", "--namespace", "models",
                "--set", "autoscaling.hpa.enabled=true")
    assert done.returncode == 0, done.stderr
    notes = done.stdout[done.stdout.index("NOTES:"):]
    for command in ("kubectl -n models rollout status deployment/shop-sconce",
                    "kubectl -n models port-forward service/shop-sconce 8080:8080",
                    '{{index .data "keys.json" | base64decode}}',
                    "/predictions/MODEL", "kubectl -n models describe hpa shop-sconce"):
        assert command in notes, notes
