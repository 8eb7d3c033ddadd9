# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes a real server under load, and every query of the rules and dashboards
has a result.

An alert is silent while all is well, so what is asked is whether its inputs are there: its
comparisons are made to yield 0 or 1 (`bool`) instead of nothing, and `unless` becomes `and`."""

import json
import math
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest
import requests

pytest.register_assert_rewrite("e2e.server", "e2e.client", "e2e.gate")

from deploy.test_contents import DEPLOY                     # noqa: E402
from deploy.test_prometheus_rules import RULES              # noqa: E402
from e2e.archives import make_mar                           # noqa: E402
from e2e.conftest import server_factory                     # noqa: E402
from e2e.server import eventually, free_ports               # noqa: E402
from e2e.test_devices import fake_tool                      # noqa: E402

sys.path.insert(0, str(DEPLOY / "grafana"))

import catalogue    # noqa: E402
import generate     # noqa: E402
import panels       # noqa: E402

PATIENCE = 60
TIMED = """
def handle(data, context):
    if data is None:
        return None
    context.metrics.add_time("HandlerTime", 2.5)
    texts = [bytes(row["body"]).decode() for row in data]
    if "raise" in texts:
        raise ValueError("as asked")
    return texts
"""
DASHBOARDS = {name: make() for name, make in generate.DASHBOARDS.items()}
COMPARISON = re.compile(r"(==|!=|>=|<=|>|<)(?!\s*bool)")
MATCHERS = re.compile(r"\{[^}]*\}")


# ---- the files ----

@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_files_are_what_the_generator_makes(name):
    text = (DEPLOY / "grafana" / f"{name}.json").read_text()
    assert text == generate.text_of(DASHBOARDS[name]), "run deploy/grafana/generate.py"
    assert len(text) < 100_000


def test_what_is_not_there_cannot_be_drawn():
    for expr, why in (("sum(sconce_happiness)", "sconce_happiness"),
                      ('rate(sconce_answers_total{status="5xx"}[5m])', "no label status"),
                      ("sconce:nothing:ratio", "sconce:nothing:ratio")):
        with pytest.raises(catalogue.UnknownMetric, match=why):
            panels.graph("A panel", "", (expr, ""))


def places(dashboard):
    for panel in dashboard["panels"]:
        p = panel["gridPos"]
        yield from ((x, y) for x in range(p["x"], p["x"] + p["w"])
                    for y in range(p["y"], p["y"] + p["h"]))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_have_a_place_and_words(name):
    dashboard = DASHBOARDS[name]
    taken = list(places(dashboard))
    assert len(taken) == len(set(taken)), "panels overlap"
    assert len(taken) == 24 * (max(y for _, y in taken) + 1), "there are holes"
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert ids == sorted(set(ids))
    for panel in dashboard["panels"]:
        assert panel["title"]
        assert panel["type"] == "row" or panel["description"].endswith("."), panel["title"]
    variables = {v["name"] for v in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$(?!__)(\w+)", json.dumps(dashboard["panels"]))) - {"datasource"}
    assert used <= variables
    for target in targets_of(dashboard):
        assert not re.search(r'[^~]"\$', target["expr"]), "what is chosen from a list wants =~"


def test_every_metric_of_ours_is_drawn_or_watched():
    """What nobody looks at need not be published."""
    texts = [rule["expr"] for rule in RULES] + [t["expr"] for d in DASHBOARDS.values()
                                                for t in targets_of(d)]
    seen = {name for text in texts for name in catalogue.names_in(text)[0]}
    missing = {m.name for m in panels.METRICS.values() if m.name.startswith("sconce_")
               and re.sub("_(bucket|count|sum)$", "", m.name)
               not in {re.sub("_(bucket|count|sum)$", "", name) for name in seen}}
    assert not missing


# ---- what runs ----

class Proxy:
    """What stands in front: a listener with TLS, and blackbox_exporter, which looks at it."""

    def __init__(self, folder):
        tool = "prometheus-blackbox-exporter"
        assert shutil.which(tool), f"{tool} is missing: tools/setup.sh test"
        self.exporter, tls = free_ports(2)
        self.target = f"127.0.0.1:{tls}"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                        "-subj", "/CN=models.example", "-keyout", folder / "key.pem", "-out",
                        folder / "certificate.pem"], check=True, capture_output=True)
        self.log = (folder / "blackbox.log").open("w")
        self.processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.log,
                                           stderr=subprocess.STDOUT) for command in (
            ["openssl", "s_server", "-accept", self.target, "-key", folder / "key.pem", "-cert",
             folder / "certificate.pem", "-quiet"],
            [tool, f"--config.file={DEPLOY / 'prometheus/blackbox.yml'}",
             f"--web.listen-address=127.0.0.1:{self.exporter}"])]

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait(30)
        self.log.close()


class Prometheus:
    def __init__(self, folder, target, proxy):
        assert shutil.which("prometheus"), "prometheus is missing: tools/setup.sh test"
        [self.port] = free_ports(1)
        (folder / "rules").mkdir(parents=True)
        for path in (DEPLOY / "prometheus/rules").glob("*.yml"):
            (folder / "rules" / path.name).write_text(
                re.sub(r"interval: \w+", "interval: 1s", path.read_text()))
        example = (DEPLOY / "prometheus/prometheus.yml").read_text()
        (folder / "prometheus.yml").write_text(
            re.sub(r"_interval: \w+", "_interval: 1s", example)
            .replace("models.example:443", proxy.target)
            .replace("127.0.0.1:9115", f"127.0.0.1:{proxy.exporter}")
            .replace("127.0.0.1:8082", target).replace("127.0.0.1:9093", "127.0.0.1:1"))
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            ["prometheus", "--config.file=prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn",
             "--enable-feature=exemplar-storage"],
            cwd=folder, stdout=self.log, stderr=subprocess.STDOUT)

    def get(self, path, **parameters):
        answer = requests.get(f"http://127.0.0.1:{self.port}/api/v1/{path}", params=parameters,
                              timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def ready(self):
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            assert self.process.poll() is None, "Prometheus has ended"
            return False

    def values(self, query):
        """Numbers that are some, of the result."""
        found = [float(r["value"][1]) for r in self.get("query", query=query)["result"]]
        return [v for v in found if not math.isnan(v)]

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def keep_busy(server, key, over):
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key}"
    for i in range(1_000_000):
        if over.wait(0.02):
            return
        body = "raise" if i % 20 == 19 else "text"
        session.post(f"http://127.0.0.1:{server.inference}/predictions/timed", data=body,
                     timeout=20)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """With keys, GPUs (of a tool that pretends) and a model that sends metrics, under load."""
    root = tmp_path_factory.mktemp("live")
    make_mar(root / "store", "timed", TIMED, entry="timed_handler:handle",
             config="latency_goal_ms: 1000\n")
    over = threading.Event()
    with server_factory(lambda: root / "server") as start:
        server = start(store=root / "store", wait=False, disable_token_authorization=None,
                       metric_time_interval=1, environment=fake_tool(root / "bin"))
        keys = server.root / "key_file.json"
        eventually(lambda: server.console.count("Worker loaded the model"), "a worker", 30)
        key = json.loads(keys.read_text())["inference"]["key"]
        load = threading.Thread(target=keep_busy, args=(server, key, over))
        load.start()
        yield server
        over.set()
        load.join()


@pytest.fixture(scope="module")
def prometheus(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    proxy = Proxy(folder)
    p = Prometheus(folder, f"127.0.0.1:{server.metrics_port}", proxy)
    try:
        eventually(p.ready, "Prometheus is ready", PATIENCE)
        # Long enough for rates, and for what is recorded from what is recorded.
        eventually(lambda: p.values("sconce:worker_utilization:ratio"), "the rules", PATIENCE)
        yield p
    finally:
        p.stop()
        proxy.stop()


def assert_has_values(prometheus, query):
    eventually(lambda: prometheus.values(query), lambda: f"a value of: {query}", PATIENCE)


# ---- queries ----

def targets_of(dashboard):
    for panel in dashboard["panels"]:
        yield from panel.get("targets", [])
    yield from dashboard["annotations"]["list"]


def filled_in(expr):
    """As Grafana asks it, with all of everything."""
    expr = expr.replace("$__rate_interval", "20s")
    return re.sub(r"\$(job|instance|model|version)\b", ".*", expr)


def always(expr):
    """Its inputs, see above."""
    parts, last = [], 0
    for match in MATCHERS.finditer(expr):
        parts += [COMPARISON.sub(r"\1 bool", expr[last:match.start()]), match[0]]
        last = match.end()
    parts.append(COMPARISON.sub(r"\1 bool", expr[last:]))
    return re.sub(r"\bunless\b", "and", "".join(parts))


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.get("alert") or r["record"])
def test_rules(prometheus, rule):
    assert_has_values(prometheus, rule["record"] if "record" in rule else always(rule["expr"]))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboards(prometheus, name):
    for target in targets_of(DASHBOARDS[name]):
        query = filled_in(target["expr"])
        assert_has_values(prometheus, always(query) if "titleFormat" in target else query)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_lists_of_dashboards(prometheus, name):
    for variable in DASHBOARDS[name]["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)",
                                         variable["definition"]).groups()
            query = f"count by ({label}) ({filled_in(metric)})"
            for series in prometheus.get("query", query=query)["result"]:
                assert series["metric"][label]
            assert_has_values(prometheus, query)


def test_nothing_is_wrong_while_nothing_is(prometheus):
    """The server is well but for errors that it was asked for: nobody is woken for more."""
    rules = [r for g in prometheus.get("rules")["groups"] for r in g["rules"]]
    assert {r["health"] for r in rules} == {"ok"}, [r.get("lastError") for r in rules]
    firing = {a["labels"]["alertname"] for a in prometheus.get("alerts")["alerts"]
              if a["state"] == "firing"}
    busy = {"SconceLoopStalls", "SconceLogLinesLost"}       # where the machine is
    assert firing <= {"SconceErrorBudgetBurnsFast", *busy}


def test_exemplars_lead_to_a_request(prometheus):
    def found():
        data = prometheus.get("query_exemplars", start=time.time() - 300, end=time.time() + 5,
                              query="sconce_request_duration_seconds_bucket")
        return [e["labels"]["request_id"] for s in data for e in s["exemplars"]]
    assert all(len(ident) == 36 for ident in eventually(found, "exemplars", PATIENCE))
