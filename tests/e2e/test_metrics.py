# SPDX-License-Identifier: Apache-2.0
"""The metrics listener: names, text format and numbers."""

import re
import subprocess
import time
from pathlib import Path

import pytest
import requests

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import BIN, eventually

NUMBER = r"(-?\d+\.\d+(E-?\d+)?|NaN|\+Inf|-Inf)"
LABELS = r'\{([a-zA-Z_]\w*="([^"\\\n]|\\.)*",)+\}'
PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
SAMPLE = re.compile(rf"^[a-zA-Z_:][a-zA-Z0-9_:]*({LABELS})? {NUMBER}$")


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    for name in ("echo", "gate", "trouble"):
        make_mar(store, name, f"{name}.py")
    return module_serve(store=store)


def metrics(server, query=""):
    return requests.get(f"http://127.0.0.1:{server.metrics_port}/metrics{query}", timeout=20)


def test_content_type(server):
    response = metrics(server)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_every_line_is_well_formed(server):
    server.predict("echo", b"x")
    families = set()
    for line in metrics(server).text.splitlines():
        if match := re.match(r"# (HELP|TYPE) (\S+) (.+)$", line):
            families.add(match.group(2))
            assert match.group(1) == "HELP" or match.group(3) in ("counter", "gauge", "histogram")
            continue
        assert SAMPLE.match(line), line
        name = line.split("{")[0].split(" ")[0]
        assert name in families or re.sub("_(bucket|sum|count)$", "", name) in families, line
    assert metrics(server).text.endswith("\n")


@pytest.mark.parametrize("name,kind,unit,labels", [
    ("Requests2XX", "counter", "Count", 'Level="Host",Hostname="[^"]+",'),
    ("Requests4XX", "counter", "Count", 'Level="Host",Hostname="[^"]+",'),
    ("Requests5XX", "counter", "Count", 'Level="Host",Hostname="[^"]+",'),
    ("ts_inference_requests_total", "counter", "Count",
     'model_name="echo",model_version="default",hostname="[^"]+",'),
    ("ts_inference_latency_microseconds", "counter", "Microseconds",
     'model_name="echo",model_version="default",hostname="[^"]+",'),
    ("ts_queue_latency_microseconds", "counter", "Microseconds",
     'model_name="echo",model_version="default",hostname="[^"]+",'),
    ("QueueTime", "gauge", "Milliseconds", 'Level="Host",Hostname="[^"]+",'),
    ("WorkerThreadTime", "gauge", "Milliseconds", 'Level="Host",Hostname="[^"]+",'),
    ("WorkerLoadTime", "gauge", "Milliseconds",
     'WorkerName="W-9\\d+-echo_1.0",Level="Host",Hostname="[^"]+",'),
])
def test_torchserve_names(server, name, kind, unit, labels):
    server.predict("echo", b"x")
    text = metrics(server).text
    assert f"# HELP {name} Torchserve prometheus {kind} metric with unit: {unit}\n" in text
    assert f"# TYPE {name} {kind}\n" in text
    assert re.search(f"^{name}\\{{{labels}\\}} {NUMBER}$", text, re.M), text


def test_series_are_there_from_their_first_value_on(serve, tmp_path):
    """As in TorchServe: no gauge is 0 because nobody has set it."""
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path)
    names = ("PredictionTime", "QueueTime", "WorkerThreadTime", "ts_inference_requests_total",
             "ts_inference_latency_microseconds", "ts_queue_latency_microseconds")
    text = metrics(server).text
    assert not [name for name in names if name + "{" in text]
    assert "WorkerLoadTime{" in text and "Requests5XX{" in text
    server.predict("echo", b"x")
    text = metrics(server).text
    assert [name for name in names if name + "{" in text] == list(names)
    assert 'model_version="1.0"' not in "".join(
        line for line in text.splitlines(True) if line.startswith("ts_"))
    server.predict("echo/1.0", b"x")
    assert 'ts_inference_requests_total{model_name="echo",model_version="1.0"' in \
        metrics(server).text


def test_series_of_a_worker_go_with_its_place(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path)

    def scale(workers):
        response = server.manage("PUT", f"/models/echo?min_worker={workers}&max_worker={workers}"
                                 "&synchronous=true")
        assert response.status_code == 200, response.text

    def series():
        return metrics(server).text.count("\nWorkerLoadTime{")

    for _ in range(3):
        scale(3)
        assert series() >= 3
        scale(1)
        eventually(lambda: series() == 1, "as many as there are workers")
    assert server.manage("DELETE", "/models/echo").status_code == 200
    assert series() == 0


def test_requests_are_counted_by_class(server):
    host = {"Level": "Host"}
    before = [server.metric(f"Requests{c}XX", **host) for c in (4, 5)]
    server.predict("nobody", b"")
    server.predict("trouble", "raise")
    server.predict("trouble", "prediction 418 x")
    assert server.metric("Requests4XX", **host) == before[0] + 2
    assert server.metric("Requests5XX", **host) == before[1] + 1
    first = server.metric("Requests2XX", **host)
    server.predict("echo", b"x")
    assert server.metric("Requests2XX", **host) >= first + 2    # the scrape counts itself too


def test_inference_counters(server):
    def count(version):
        return server.metric("ts_inference_requests_total", model_name="gate",
                             model_version=version)
    server.predict("gate", '{"calls": "/dev/null"}')
    before = count("default")
    for _ in range(3):
        server.predict("gate", '{"calls": "/dev/null"}')
    server.predict("gate/1.0", '{"calls": "/dev/null"}')
    assert count("default") == before + 3
    assert count("1.0") == 1
    assert server.metric("ts_inference_latency_microseconds", model_name="gate",
                         model_version="default") > 0


def test_histograms(server):
    before = server.metric("sconce_request_duration_seconds_count", model_name="echo")
    for _ in range(5):
        server.predict("echo", b"x")
    for name in ("sconce_request_duration_seconds", "sconce_queue_duration_seconds"):
        assert server.metric(f"{name}_bucket", model_name="echo", le="+Inf") == \
            server.metric(f"{name}_count", model_name="echo") >= before + 5
        assert server.metric(f"{name}_sum", model_name="echo") > 0
        counts = [float(line.rsplit(" ", 1)[1]) for line in metrics(server).text.splitlines()
                  if line.startswith(f'{name}_bucket{{model_name="echo"')]
        assert counts == sorted(counts) and len(counts) == 19


def test_queue_depth_and_workers(server, gate):
    assert server.metric("sconce_workers_ready", model_name="gate") == 1
    running = background(server.predict, "gate", gate.body())
    gate.wait_entered()
    waiting = [background(server.predict, "gate", gate.body(fifo="")) for _ in range(3)]
    eventually(lambda: server.metric("sconce_queue_depth", model_name="gate") == 3)
    gate.open()
    assert all(f.result().status_code == 200 for f in [running, *waiting])
    eventually(lambda: server.metric("sconce_queue_depth", model_name="gate") == 0)


def test_restarts_and_retries(server):
    before = server.metric("sconce_worker_restarts_total", model_name="trouble")
    answer = server.predict("trouble", "exit")
    ident = answer.headers["x-request-id"]
    assert answer.status_code == 500
    assert server.predict("trouble", "fine").text == "fine"
    assert server.metric("sconce_worker_restarts_total", model_name="trouble") == before + 2
    assert server.metric("sconce_request_retries_total", model_name="trouble") == 1
    for what in ("is run once more, alone: its worker exited with code 3",
                 "fails: its worker exited with code 3"):
        line = re.compile(rf"W-\d+-trouble_1\.0 sconce\.worker - Request {ident} {what}$", re.M)
        eventually(lambda line=line: line.search(server.log("ts_log.log")), line.pattern)


def test_filter_by_name(server):
    text = metrics(server, "?name[]=Requests2XX&name[]=QueueTime").text
    assert {line.split("{")[0] for line in text.splitlines() if not line.startswith("#")} == \
        {"Requests2XX", "QueueTime"}
    assert "Requests4XX" not in text
    assert metrics(server, "?name[]=nothing").text == ""


def test_filter_by_sample_name(server):
    text = metrics(server, "?name%5B%5D=sconce_batch_size_count").text
    assert "sconce_batch_size_count{" in text and "Requests2XX" not in text


def test_hostile_model_names_do_not_break_the_text(serve, tmp_path):
    make_mar(tmp_path, "quote", "echo.py")
    server = serve(store=tmp_path, load_models=None)
    response = server.register("quote.mar", model_name='a"b\\c{},', initial_workers=1)
    if response.status_code == 200:
        assert server.call("POST", "/predictions/a%22b%5Cc%7B%7D,", data=b"x").text == "x"
    for line in server.metrics_text().splitlines():
        assert line.startswith("#") or SAMPLE.match(line), line


DECLARED = """
ts_metrics:
  counter:
    - {name: Requests2XX, unit: Count, dimensions: [Level, Hostname]}
    - {name: ts_inference_requests_total, unit: Count, dimensions: [model, version, host]}
  histogram:
    - {name: QueueTime, unit: Milliseconds, dimensions: [Level, Hostname]}
  gauge:
    - {name: WorkerThreadTime, unit: Milliseconds, dimensions: [Hostname]}
model_metrics:
  gauge:
    - {name: Tokens, unit: count, dimensions: [Mode]}
  counter:
    - {name: Phase, unit: ms, dimensions: [ModelName, Level]}
    - {name: Said, unit: count, dimensions: [Text]}
"""
DECLARING = r"""
from ts.metrics.metric_type_enum import MetricTypes

def handle(data, context):
    if data is not None:
        m = context.metrics
        m.get_metric("Tokens", MetricTypes.GAUGE).add_or_update(5, ['a"b|c\nd'])
        m.add_time("Phase", 2.5)
        m.add_time("Phase", -1)
        m.add_counter("Nobody", 1)
        for n in (1024, 1025):
            m.get_metric("Said", MetricTypes.COUNTER).add_or_update(1, ["x" * n])
        m.get_metric("Tokens", MetricTypes.GAUGE).update(6)
        return ["done"] * len(data)
"""


@pytest.fixture(scope="module")
def declared(module_serve, module_tmp):
    path = module_tmp / "metrics.yaml"
    path.write_text(DECLARED)
    make_mar(module_tmp / "own", "own", DECLARING, entry="own_handler:handle")
    server = module_serve(store=module_tmp / "own", metrics_config=path, metric_time_interval=1)
    assert server.predict("own", b"x").text == "done"
    return server


def test_only_declared_metrics_are_emitted(declared):
    text = metrics(declared).text
    names = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    assert {n for n in names if not n.startswith("sconce_")} == {
        "Requests2XX", "ts_inference_requests_total", "QueueTime", "Tokens", "Phase",
        "Said"}
    assert 'ts_inference_requests_total{model="own",version="default",host="' in text
    assert declared.metric("QueueTime_count", Level="Host") == 1
    eventually(lambda: "Metric WorkerThreadTime is off" in declared.log("ts_log.log"))


def test_declared_type_counts_and_bad_updates_are_dropped(declared):
    text = metrics(declared).text
    tokens = r'^Tokens\{Mode="a\\"b\|c\\nd",Hostname="[^"]+",\} 5\.0$'
    assert re.search(tokens, text, re.M), text
    assert declared.metric("Phase", ModelName="own", Level="Model") == 2.5
    assert re.findall(r'^Said\{Text="(x*)"', text, re.M) == ["x" * 1024]
    for line in ("Metric Nobody is dropped: metrics_config does not name it.",
                 "metric Phase is dropped: a counter never goes down",
                 "metric Said is dropped: the value of a dimension is longer than 1024 bytes",
                 "metric Tokens is dropped: it has another number of dimensions"):
        eventually(lambda line=line: line in declared.log("ts_log.log"), line)


MISFIT = """
def handle(data, context):
    if data is None:
        return None
    metrics = context.metrics
    metrics.add_metric_to_cache("Misfit", "count", ["Mode"]).add_or_update(1, [])
    metrics.add_metric_to_cache("Misfit", "count", ["Mode"]).add_or_update(-1, ["x"])
    return ["done"] * len(data)
"""
BARE = "ts_metrics: {counter: []}\nmodel_metrics: {counter: []}\n"


@pytest.fixture(params=["prometheus", "log"])
def detecting(request, serve, tmp_path):
    (tmp_path / "metrics.yaml").write_text(BARE)
    make_mar(tmp_path / "store", "misfit", MISFIT)
    return serve(root=tmp_path, metrics_config=tmp_path / "metrics.yaml",
                 metrics_mode=request.param, model_metrics_auto_detect=True)


def test_prediction_time_is_detected(detecting):
    """No handler sends it, so nothing but the server can find it."""
    assert detecting.predict("misfit", b"").text == "done"
    if detecting.settings["metrics_mode"] == "log":
        eventually(lambda: re.search(r"PredictionTime\.Milliseconds:.*\|#ModelName:misfit,"
                                     r"Level:Model\|", detecting.log("model_metrics.log")))
    else:
        assert detecting.metric("PredictionTime", ModelName="misfit", Level="Model") > 0


def test_a_misfit_is_told_once(detecting):
    """What the worker sees of it; `test_declared_type…` has what the server sees."""
    for _ in range(3):
        assert detecting.predict("misfit", b"").text == "done"
    eventually(lambda: "name:Misfit" in detecting.log("model_log.log"), "the line")
    assert detecting.log("model_log.log").count("name:Misfit") == 1


ROW = re.compile(r"^\| `(sconce_\w+)` \| (\w+) \| ([^|]*) \| (.+) \|$", re.M)


def test_the_page_lists_every_family_of_ours(server):
    """docs/metrics.md is what dashboards are made from."""
    text = metrics(server).text
    listed = {name: (kind, tells) for name, kind, _, tells in ROW.findall(PAGE.read_text())}
    kinds = dict(re.findall(r"^# TYPE (sconce_\S+) (\S+)$", text, re.M))
    tells = dict(re.findall(r"^# HELP (sconce_\S+) (.+)$", text, re.M))
    assert listed == {name: (kind, tells[name]) for name, kind in kinds.items()}


def test_the_page_lists_the_labels_of_each(server):
    server.predict("echo", b"x")
    text = metrics(server).text
    model = ["model_name", "model_version", "hostname"]
    for name, kind, labels, _ in ROW.findall(PAGE.read_text()):
        wanted = [w for word in labels.split(", ") if word
                  for w in (model if word == "model" else [word.strip("`")])]
        sample = re.search(rf"^{name}(_bucket)?(\{{.*\}})? ", text, re.M)
        if not sample:      # nobody has a GPU or a key here
            assert wanted in (["device"], ["token"]), name
            continue
        found = re.findall(r'(\w+)="', sample[2] or "")
        assert found == wanted + ["le"] * (kind == "histogram"), name


def test_workers_are_busy_while_they_have_a_batch(server, gate):
    def figure(name):
        return server.metric(f"sconce_{name}", model_name="gate")
    assert (figure("workers"), figure("workers_ready"), figure("workers_busy")) == (1, 1, 0)
    first = figure("worker_busy_seconds_total")
    assert figure("worker_busy_seconds_total") == first
    running = background(server.predict, "gate", gate.body())
    gate.wait_entered()
    assert figure("workers_busy") == 1
    before = figure("worker_busy_seconds_total")
    assert before > first
    eventually(lambda: figure("worker_busy_seconds_total") > before)    # and it still runs
    waiting = background(server.predict, "gate", gate.body(fifo=""))
    eventually(lambda: figure("queue_depth") == 1)
    assert figure("queue_wait_seconds") > 0
    gate.open()
    assert running.result().status_code == waiting.result().status_code == 200
    eventually(lambda: figure("workers_busy") == 0)
    assert figure("queue_wait_seconds") == 0


def test_figures_are_those_of_who_is_registered(serve, tmp_path, gate):
    """Not of one that has the same name and drains."""
    make_mar(tmp_path, "gate", "gate.py")
    server = serve(store=tmp_path)
    running = background(server.predict, "gate", gate.body())
    gate.wait_entered()
    gone = background(server.manage, "DELETE", "/models/gate")
    eventually(lambda: not server.models())
    eventually(lambda: server.register("gate.mar", initial_workers=2,
                                       synchronous="true").status_code == 200)
    figures = [server.metric(f"sconce_{name}", model_name="gate")
               for name in ("workers", "workers_ready", "workers_busy")]
    gate.open()
    assert running.result().status_code == gone.result().status_code == 200
    assert figures == [2, 2, 0]
    assert server.metric("sconce_workers", model_name="gate") == 2


def test_answers_are_counted_by_class(server):
    def count(code):
        return server.metric("sconce_answers_total", model_name="trouble", code=code)
    before = [count(code) for code in ("2xx", "4xx", "5xx")]
    server.predict("trouble", "fine")
    server.predict("trouble", "prediction 418 x")
    server.predict("trouble", "raise")
    assert [count(code) for code in ("2xx", "4xx", "5xx")] == [n + 1 for n in before]


BROKEN = "def handle(data, context):\n    return data\n\n\nimport nobody_has_this\n"


def test_states_of_models_keys_and_the_server(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    begun = time.time()
    server = serve(store=tmp_path, disable_token_authorization=None, wait=False)
    eventually(lambda: server.console.count("Worker loaded the model"), "the model is loaded")
    assert begun < server.metric("sconce_start_time_seconds") < time.time()
    assert server.metric("sconce_build_info") == 1
    for key in ("management", "inference"):
        assert begun < server.metric("sconce_token_expiry_timestamp_seconds", token=key)
    assert [server.metric("sconce_model_versions", state=state)
            for state in ("ready", "loading", "failed", "idle")] == [1, 0, 0, 0]
    for name in ("sconce_cpu_seconds_total", "sconce_resident_memory_bytes"):
        assert server.metric(name) > 0


def test_a_model_that_does_not_load_is_counted(serve, tmp_path):
    make_mar(tmp_path, "broken", BROKEN)
    server = serve(store=tmp_path, load_models=None)
    server.register("broken.mar", initial_workers=0)
    assert server.metric("sconce_model_versions", state="idle") == 1
    server.manage("PUT", "/models/broken?min_worker=1&synchronous=true")
    eventually(lambda: server.metric("sconce_model_versions", state="failed") == 1)
    assert server.metric("sconce_worker_start_failures_total", model_name="broken") >= 1
    assert server.metric("sconce_workers", model_name="broken") == 1
    assert server.metric("sconce_workers_ready", model_name="broken") == 0


def test_families_without_samples_are_listed(server):
    text = metrics(server).text
    for name, unit in (("HandlerTime", "ms"), ("GPUUtilization", "Percent")):
        assert f"# HELP {name} Torchserve prometheus gauge metric with unit: {unit}\n" in text
        assert name + "{" not in text


@pytest.mark.parametrize("text,why", [
    ("ts_metrics:\n  summary: []\n", ":2: 'summary' is no type of metric; allowed: counter, gauge, "
                                     "histogram"),
    (None, " cannot be read: No such file or directory"),
])
def test_bad_metrics_config(tmp_path, text, why):
    path = tmp_path / "metrics.yaml"
    if text:
        path.write_text(text)
    done = subprocess.run([BIN / "sconce", "serve", "--metrics-config", path, "--model-store",
                           tmp_path, "--disable-token-authorization", "true"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and f"{path}{why}" in done.stderr


METRIC_LINE = (r"^\S+T\d\d:\d\d:\d\d,\d{3} \[INFO \] %s %s - %s\|#%s\|#hostname:[^,|]+,"
               r"%stimestamp:\d+$")


@pytest.fixture(scope="module")
def logging_server(module_serve, module_tmp):
    store = module_tmp / "logged"
    make_mar(store, "echo", "echo.py")
    return module_serve(store=store, metrics_mode="log", metric_time_interval=1)


def test_log_mode_shows_what_no_log_has(logging_server):
    """TorchServe's families go to its logs; ours are here in every mode."""
    text = metrics(logging_server).text
    families = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    assert {"sconce_memory_used_bytes", "sconce_log_lines_dropped_total"} <= families
    assert all(name.startswith("sconce_") for name in families)
    named = metrics(logging_server, "?name[]=sconce_pool_segments&name[]=QueueTime").text
    assert set(re.findall(r"^# TYPE (\S+) ", named, re.M)) == {"sconce_pool_segments"}


def test_log_mode_writes_every_update(logging_server):
    """On the console, from where benchmark scripts take the fourth piece between colons."""
    answer = logging_server.predict("echo", b"x")
    worker = r"W-\d+-echo_1\.0"
    number = r"\d+\.\d+(E-?\d+)?"
    by_version = "model_name:echo,model_version:default"
    request = "requestID:" + answer.headers["x-request-id"] + ","
    for thread, logger, what, dimensions, ids in (
            ("main", "TS_METRICS", r"Requests2XX\.Count:1\.0", "Level:Host", ""),
            ("main", "TS_METRICS", r"ts_inference_requests_total\.Count:1\.0", by_version, ""),
            (worker, "TS_METRICS",
             r"ts_inference_latency_microseconds\.Microseconds:" + number, by_version, ""),
            (worker, "TS_METRICS", r"ts_queue_latency_microseconds\.Microseconds:" + number,
             by_version, ""),
            (worker, "TS_METRICS", r"QueueTime\.Milliseconds:" + number, "Level:Host", ""),
            (worker, "TS_METRICS", r"WorkerThreadTime\.Milliseconds:" + number, "Level:Host", ""),
            (worker, "TS_METRICS", r"WorkerLoadTime\.Milliseconds:" + number,
             f"WorkerName:{worker},Level:Host", ""),
            ("main", "TS_METRICS", r"CPUUtilization\.Percent:" + number, "Level:Host", ""),
            ("main", "TS_METRICS", r"MemoryUsed\.Megabytes:" + number, "Level:Host", ""),
            ("main", "TS_METRICS", r"DiskAvailable\.Gigabytes:" + number, "Level:Host", ""),
            (worker + "-stdout", "MODEL_METRICS", r"PredictionTime\.ms:" + number,
             "ModelName:echo,Level:Model", request)):
        line = re.compile(METRIC_LINE % (thread, logger, what, dimensions, ids), re.M)
        found = eventually(lambda line=line: line.search(logging_server.console), line.pattern)
        float(found.group().split("|")[0].split(":")[3])


def test_log_mode_files_have_date_and_message(logging_server):
    logging_server.predict("echo", b"x")
    for file, name in (("ts_metrics.log", "QueueTime.Milliseconds"),
                       ("model_metrics.log", "PredictionTime.ms")):
        line = re.compile(rf"^\d{{4}}-\S+,\d{{3}} - {re.escape(name)}:\S+$", re.M)
        eventually(lambda line=line, file=file: line.search(logging_server.log(file)), name)


def test_legacy_mode(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path, metrics_mode="legacy")
    server.predict("echo", b"x")
    counters = {"ts_inference_requests_total", "ts_inference_latency_microseconds",
                "ts_queue_latency_microseconds"}
    families = set(re.findall(r"^# TYPE (\S+) ", metrics(server).text, re.M))
    assert {name for name in families if not name.startswith("sconce_")} == counters
    assert "sconce_memory_used_bytes" in families
    assert server.metric("ts_inference_requests_total", model_name="echo") == 1
    assert set(re.findall(r"^(\w+)\{", metrics(server, "?name[]=QueueTime").text, re.M)) == set()
    eventually(lambda: "Requests2XX.Count:1.0|" in server.log("ts_metrics.log"))
    assert "ts_inference_requests_total" not in server.log("ts_metrics.log")


def test_host_metrics(serve, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path, metric_time_interval=1)
    eventually(lambda: "MemoryUsed{" in metrics(server).text)
    host = {"Level": "Host"}
    for name in ("CPUUtilization", "MemoryUtilization", "DiskUtilization"):
        assert 0 <= server.metric(name, **host) <= 100
    for name in ("MemoryUsed", "MemoryAvailable", "DiskUsage", "DiskAvailable"):
        assert server.metric(name, **host) > 0
    assert server.describe("echo")[0]["workers"][0]["memoryUsage"] > 1 << 20


def test_host_metrics_can_be_switched_off(serve, tmp_path):
    server = serve(store=tmp_path, disable_system_metrics=True, metric_time_interval=1)
    assert "# TYPE CPUUtilization gauge\n" in metrics(server).text
    assert "CPUUtilization{" not in metrics(server).text


def test_listener_can_be_switched_off(serve, tmp_path):
    server = serve(store=tmp_path, enable_metrics_api=False)
    with pytest.raises(requests.ConnectionError):
        metrics(server)


def test_other_paths_of_the_listener(server):
    response = requests.get(f"http://127.0.0.1:{server.metrics_port}/ping", timeout=20)
    assert response.status_code == 404
