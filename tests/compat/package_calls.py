# SPDX-License-Identifier: Apache-2.0
"""Calls of the package `ts`, and what came of each as a line of JSON: its value or what it raised,
and what was logged meanwhile. test_package.py runs this with TorchServe's package and with ours.

    python package_calls.py FOLDER
"""

import importlib
import io
import json
import logging
import os
import re
import sys
import types
import warnings

FOLDER = sys.argv[1]
CASES = []

GOOD = """
ts_metrics: {}
model_metrics:
  counter: [{name: C, unit: count, dimensions: [ModelName, Level]}]
  gauge: [{name: G, unit: ms, dimensions: []}]
  histogram: [{name: H, unit: MB, dimensions: [A, B]}]
"""


def case(name):
    def note(function):
        CASES.append((name, function))
        return function
    return note


def each(name, function, arguments):
    for i, values in enumerate(arguments):
        CASES.append(("%s %d %r" % (name, i, values), lambda v=values: function(*v)))


def plain(value):
    """Objects by what they hold."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if hasattr(value, "metric_name"):
        return [value.metric_name, value.unit, value.dimension_names, str(value.metric_type)]
    return value if value is None or type(value) in (bool, int, float, str) else repr(value)


def steady(text):
    text = re.sub(r"hostname:[^,]*,\d+", "hostname:H,T", text).replace(FOLDER, "FOLDER")
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    return text


class Lines(logging.Handler):
    def __init__(self):
        super().__init__(logging.INFO)
        self.lines = []

    def emit(self, record):
        self.lines.append("%s %s" % (record.levelname, record.getMessage()))


def run(function):
    lines = Lines()
    logging.getLogger().handlers[:] = [lines]
    logging.getLogger().setLevel(logging.INFO)
    try:
        outcome = {"value": plain(function())}
    except Exception as e:
        outcome = {"raised": [c.__name__ for c in type(e).__mro__],
                   "text": plain(list(e.args)), "str": str(e)}
    # What one of them says of its own doings is its own; metrics and warnings are not.
    outcome["log"] = [line for line in lines.lines
                      if "[METRICS]" in line and "Overriding" not in line or "WARNING" in line
                      and "Overriding" not in line]
    return json.loads(steady(json.dumps(outcome, sort_keys=True)))


# ---- metrics ----

from ts.metrics import metric_cache_errors as merrors               # noqa: E402
from ts.metrics.caching_metric import CachingMetric                 # noqa: E402
from ts.metrics.dimension import Dimension                          # noqa: E402
from ts.metrics.metric import Metric                                # noqa: E402
from ts.metrics.metric_cache_abstract import MetricCacheAbstract    # noqa: E402
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl  # noqa: E402
from ts.metrics.metric_encoder import MetricEncoder                 # noqa: E402
from ts.metrics.metric_type_enum import MetricTypes                 # noqa: E402
from ts.metrics.metrics_store import MetricsStore                   # noqa: E402
from ts.metrics.unit import Units                                   # noqa: E402


def written(text, name="metrics.yaml"):
    path = os.path.join(FOLDER, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def cache(text=GOOD, ids=None):
    made = MetricsCacheYamlImpl(written(text))
    made.initialize_cache()
    made.set_request_ids(ids)
    made.model_name = "net"
    return made


each("file", lambda path: MetricsCacheYamlImpl(path).cache,
     [(None,), ("",), ("/none/at/all.yaml",), (FOLDER,), (7.5,), ([],)])
CASES.append(("no file", lambda: MetricsCacheYamlImpl()))
each("text", lambda text: cache(text).cache_keys(), [
    (GOOD,), ("a: [",), ("a: 1",), ("",), ("[]",), ("model_metrics:",), ("model_metrics: {}",),
    ("model_metrics: {summary: []}",), ("model_metrics: {gauge: [{name: a}]}",),
    ("model_metrics: {gauge: [{name: 1, unit: ms, dimensions: []}]}",),
    ("model_metrics: {gauge: [{name: a, unit: 1, dimensions: []}]}",),
    ("model_metrics: {gauge: [{name: a, unit: ms, dimensions: x}]}",),
    ("model_metrics: {gauge: [{name: a, unit: ms, dimensions: null}]}",),
    ("model_metrics: {gauge: }",), ("model_metrics: {gauge: [x]}",), ("model_metrics: x",),
    ("a: !!python/object:os.system {}",), ("a: \x01",)])
each("add to cache", lambda *a: cache().add_metric_to_cache(*a), [
    ("n", "count"), ("n", "ms", ["a"]), ("n", "ms", None), ("n", "apples", [], MetricTypes.GAUGE),
    (1, "count"), (None, "count"), ("n", None), ("n", 1), ("n", "count", "Level"),
    ("n", "count", ("a",)), ("n", "count", {"a": 1}), ("n", "count", [], "gauge"),
    ("n", "count", [], None), ("n", ""), ("", "")])
each("get", lambda *a: cache().get_metric(*a), [
    ("C",), ("C", MetricTypes.GAUGE), ("G", MetricTypes.GAUGE), ("none",), (1,), (None,),
    ("G", "gauge"), ("G", None)])
# Not without ids: then their default list of dimensions has what the call before left in it.
for ids in ({0: "r0", 1: "r1"}, {0: "r0"}, "whole", {}):
    for method, arguments in (
            ("add_counter", ("n", 1)), ("add_counter", ("C", 2)), ("add_counter", ("n", 1, 0)),
            ("add_counter", ("n", -1)), ("add_time", ("n", 1.5)), ("add_time", ("n", 1, None, "s")),
            ("add_time", ("n", 1, None, "ns")), ("add_time", ("G", 1)),
            ("add_size", ("n", 1)), ("add_size", ("n", 1, None, "TB")),
            ("add_size", ("n", 1, None, "B", [], MetricTypes.HISTOGRAM)),
            ("add_percent", ("n", 99)), ("add_percent", ("n", -1)), ("add_error", ("n", 1)),
            ("add_metric", ("n", 1, "apples")), ("add_metric", (5, 1, "apples")),
            ("add_metric", ("n", 1, 5)), ("add_metric", ("n", -1, "ms", None)),
            ("add_metric", ("H", 1, "MB"))):
        if ids == "whole" and arguments[2:] == (0,):
            continue    # a slip of theirs: an index is looked for in the text
        CASES.append(("%s%r of %r" % (method, arguments, ids),
                      lambda i=ids, m=method, a=arguments: getattr(cache(GOOD, i), m)(*a)))
each("update", lambda kind, names, *a: CachingMetric("n", "count", names, kind).add_or_update(*a), [
    (MetricTypes.COUNTER, ["D"], 1, ["a"]), (MetricTypes.COUNTER, ["D"], 1, ["a"], "r1"),
    (MetricTypes.COUNTER, ["D"], 1, []), (MetricTypes.COUNTER, ["D"], 1, None),
    (MetricTypes.COUNTER, ["D"], 1, ["a", "b"]), (MetricTypes.COUNTER, ["D"], -1, ["a"]),
    (MetricTypes.COUNTER, ["D"], 1), (MetricTypes.COUNTER, None, 1), (MetricTypes.GAUGE, [], -2.5),
    (MetricTypes.HISTOGRAM, ["A", "B"], 10 ** 12, [1, None], "r,s"),
    (MetricTypes.GAUGE, ["D"], True, ["a"]), (MetricTypes.GAUGE, ["D"], 1e300, ("x",))])
each("older update", lambda *a: CachingMetric("n", "MB", ["A"]).update(*a), [
    (2, "r9", [Dimension("B", 5)]), (2, "", []), (2,), (-2, "r")])
each("unit", lambda unit: CachingMetric("n", unit), [
    (unit,) for unit in ("ms", "s", "percent", "count", "MB", "GB", "kB", "B", "", None, "x")])
each("error", lambda name: str(getattr(merrors, name)("why")), [
    (n,) for n in ("GeneralMetricsCacheError", "MetricsCacheIOError", "MetricsCachePyYamlError",
                   "MetricsCacheTypeError", "MetricsCacheValueError", "MetricsCacheKeyError")])
each("raise", lambda name: (_ for _ in ()).throw(getattr(merrors, name)(5)), [
    (n,) for n in ("GeneralMetricsCacheError", "MetricsCacheIOError", "MetricsCachePyYamlError",
                   "MetricsCacheTypeError", "MetricsCacheValueError", "MetricsCacheKeyError")])
each("no message", lambda name: getattr(merrors, name)(), [("MetricsCacheKeyError",),
                                                           ("MetricsCacheTypeError",)])
CASES.append(("abstract", lambda: MetricCacheAbstract("x")))
each("check type", MetricCacheAbstract._check_type, [(1, int, "no"), (1, str, "no")])
CASES.append(("units", lambda: Units().units))
each("dimension", lambda *a: [str(Dimension(*a)), Dimension(*a).to_dict()], [("a", 1), (None, "")])


@case("a metric of the store")
def _():
    metric = Metric("n", 2, "ms", [Dimension("Level", "Model")], "r0", "counter")
    metric.update(3)
    metric.reset()
    found = metric.to_dict()
    found.pop("Timestamp")
    return [str(metric), found, metric.metric_method, metric.dimension_values]


@case("a metric without a request")
def _():
    metric = Metric("n", 2, "ms", [])
    metric.update(-3)
    found = json.loads(json.dumps([metric, Dimension("a", "b")], cls=MetricEncoder))
    found[0].pop("Timestamp")
    return [str(metric), found]


each("encoder", lambda value: json.dumps(value, cls=MetricEncoder), [({1},), (None,)])


def store_values(*calls):
    store = MetricsStore({0: "r0", 1: "r1"}, "net")
    for method, arguments in calls:
        getattr(store, method)(*arguments)
    return [[m.name, m.value, m.unit, m.request_id, m.metric_method, plain(m.dimensions)]
            for m in store.store], sorted(store.cache)


def quiet_store(*calls):
    """Without what it logs: ours logs the first update of a metric, too."""
    found = store_values(*calls)
    logging.getLogger().handlers[0].lines.clear()
    return found


each("store", quiet_store, [
    (("add_counter", ("n", 1)),), (("add_counter", ("n", 1)), ("add_counter", ("n", 5))),
    (("add_counter", ("n", 1, 0)), ("add_counter", ("n", 5, 1)), ("add_counter", ("n", 9, 7))),
    (("add_time", ("n", 1)), ("add_time", ("n", 2)), ("add_time", ("n", 2, 0, "s"))),
    (("add_size", ("n", 1)), ("add_size", ("n", 1, None, "kB"))), (("add_percent", ("n", 1)),),
    (("add_error", ("n", 1)), ("add_error", ("n", 2))),
    (("add_metric", ("n", 1, "x")), ("add_metric", ("n", 2, "x", 1))),
    (("add_counter", ("n", 1, None, "x")),), (("add_time", ("n", 1, None, "ns")),),
    (("add_size", ("n", 1, None, "TB")),)])

# ---- helpers ----

from ts.utils import util                                           # noqa: E402


def labels(text):
    return util.load_label_mapping(written(text, "index_to_name.json"))


each("labels", labels, [
    ('{"0": "cat"}',), ('{"0": ["n01", "cat"]}',), ('{"object_type_names": ["a", "b"]}',),
    ('{"object_type_names": "ab"}',), ('["cat"]',), ('{"0": 1}',), ('{"0": [1]}',), ('{"0": []}',),
    ('"x"',), ("{",), ('{"object_type_names": [1]}',)])
CASES.append(("no labels", lambda: util.load_label_mapping(FOLDER + "/none.json")))
each("classes to labels", util.map_class_to_label, [
    ([[0.5, 0.25]],), ([[0.5, 0.25]], {"0": "cat", "1": "dog"}),
    ([[0.5], [0.1]], {"0": "cat", "7": "dog"}, [[7], [0]]), ((0.5,),), ([[0.5]], ["cat"]),
    ([(0.5, 0.1)],), ([[0.5]], {}), ([[0.5]], {"1": "x"}), ([[0.5, 0.1]], None, [["a", "b"]])])
each("backend", util.check_valid_pt2_backend, [("inductor",), ("magic",), (None,), ("",)])
CASES.append(("backends", lambda: {b.name: b.value for b in util.PT2Backend}))
each("prediction exception", lambda *a: [str(util.PredictionException(*a)),
                                         util.PredictionException(*a).args,
                                         util.PredictionException(*a).error_code],
     [("no",), ("no", 513), (None, "x"), ()])
each("yaml", lambda text: util.get_yaml_config(written(text)), [("a: 1\nb: [x]\n",), ("",)])
each("clean up", lambda text: util.CLEANUP_REGEX.sub("", text), [
    ("<b>x</b> &amp; &#12; &#xff; y",), ("&nothing",)])


@case("deprecated")
def _():
    @util.deprecated(version="1.0", replacement="other")
    def old():
        return 7

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = old()
    return [value, old.__name__, [(str(w.message), w.category.__name__) for w in caught]]


@case("classes of a module")
def _():
    module = types.ModuleType("m")
    exec("import io\nclass B: pass\nclass A(B): pass\nclass C: pass\nio2 = io.StringIO\n",
         module.__dict__)
    found = util.list_classes_from_module
    return [[c.__name__ for c in found(module)], [c.__name__ for c in found(module, module.B)]]


# ---- context ----

from ts.context import Context, RequestProcessor                    # noqa: E402
from ts.service import Service, emit_metrics                        # noqa: E402


def context(*headers):
    made = Context("net", "/dir", {"model": {}}, 2, 1, "0.12.0", False, None, {"a": 1})
    made.request_ids = {i: "r%d" % i for i in range(len(headers))}
    made.request_processor = [RequestProcessor(h) for h in headers]
    return made


@case("context")
def _():
    made = context({"k": "v", "ts_request_sequence_id": "s"}, {})
    made.set_response_content_type(0, "text/x")
    made.set_response_header(0, "h", 1)
    made.set_response_status(201, "fine", 0)
    states = [made.get_response_status(0), made.get_response_status(1)]
    made.set_all_response_status(202)
    return [states, [made.get_response_status(i) for i in (0, 1)], made.get_response_headers(0),
            made.get_response_headers(1), made.get_response_content_type(0),
            made.get_response_content_type(1), made.get_request_id(), made.get_request_id(1),
            made.get_request_id(9), made.get_request_header(0, "k"),
            made.get_request_header(1, "k"), made.get_all_request_header(0),
            made.get_sequence_id(0), made.get_sequence_id(1),
            made.system_properties, made.model_yaml_config, made.manifest, made.model_name,
            made.header_key_sequence_start, made.stopping_criteria, made == context(), made == 1]


each("context out of range", lambda i: context({}).get_request_header(i, "k"), [(1,), ("x",)])
each("status out of range", lambda i: context({}).set_response_status(200, "", i), [(1,)])
CASES.append(("before the first batch", lambda: Context(
    "n", "/", None, 1, None, "v").get_request_id()))
CASES.append(("request processor", lambda: RequestProcessor({"a": 1}).get_request_properties()))
each("requests", lambda batch: [[h.get_request_properties() for h in
                                 Service.retrieve_data_for_inference(batch)[0]],
                                Service.retrieve_data_for_inference(batch)[1:]], [
    (None,), ([],),
    ([{"requestId": b"r", "parameters": [{"name": "a", "value": 1, "contentType": "t"}],
       "headers": [{"name": b"h", "value": b"v"}]}],),
    ([{"requestId": b"r", "parameters": []}],), ([{"parameters": []}],), ([{"requestId": b"r"}],)])
CASES.append(("emit", lambda: emit_metrics([Metric("n", 1, "ms", [], "r")])))

# ---- what else is imported ----

each("import", lambda name, *names: sorted(n for n in names if hasattr(
    importlib.import_module(name), n)), [
    ("ts", "__version__", "version"), ("ts.arg_parser", "ArgParser"),
    ("ts.metrics.system_metrics", "system_metrics", "dimension", "cpu_utilization", "memory_used",
     "memory_available", "memory_utilization", "disk_used", "disk_utilization", "disk_available",
     "gpu_utilization", "collect_all"),
    ("ts.metrics.process_memory_metric", "get_cpu_usage", "check_process_mem_usage"),
    ("ts.metrics.metric_collector",), ("ts.metrics.metric", "MetricUnit", "Metric"),
    ("ts.metrics.metric_abstract", "MetricUnit", "MetricAbstract"),
    ("ts.utils.setup_model_venv", "create_venv", "inherit_site_packages"),
    ("ts.launcher", "start", "stop", "Tee", "PrintTillTheEnd", "register_model",
     "register_model_with_params"),
    ("ts.torch_handler.unit_tests.test_utils.model_dir", "download_model", "copy_files"),
    ("ts.metrics", "dimension", "metric", "metric_encoder", "metrics_store", "system_metrics",
     "unit")])

from ts.arg_parser import ArgParser                                 # noqa: E402

each("options", lambda *a: vars(ArgParser.ts_parser().parse_args(a)), [
    (), ("--start",), ("--stop", "--foreground"), ("-v",), ("--ncs", "--dt", "--enable-model-api"),
    ("--models", "a.mar", "b=b.mar"), ("--ppath", "p", "--model-store", "s", "--ts-config", "c"),
    ("--workflow-store", "w", "--log-config", "l", "--cpp-log-config", "k")])
each("worker options", lambda *a: vars(ArgParser.model_service_worker_args().parse_args(a)), [
    ("--sock-type", "unix", "--sock-name", "n"), ("--sock-type", "tcp", "--async", "--port", "1")])
CASES.append(("extracted options", lambda: vars(ArgParser.extract_args(["--start"]))))


@case("figures of the machine")
def _():
    from ts.metrics import system_metrics

    system_metrics.collect_all(sys.modules["ts.metrics.system_metrics"], 0)
    # In the order of their names, as they are called.
    return [(m.name, m.unit, [str(d) for d in m.dimensions], type(m.value).__name__)
            for m in system_metrics.system_metrics]


@case("memory of processes")
def _():
    from ts.metrics import process_memory_metric as memory

    memory.check_process_mem_usage(io.StringIO("\n"))
    return [memory.get_cpu_usage(os.getpid()) > 0, memory.get_cpu_usage("999999999"),
            memory.get_cpu_usage(" %d " % os.getpid()) > 0]


# ---- packing ----

import shutil                                                       # noqa: E402
import tarfile                                                      # noqa: E402
import zipfile                                                      # noqa: E402

from model_archiver import ModelArchiver, ModelArchiverConfig       # noqa: E402
from model_archiver.manifest_components.manifest import Manifest, RuntimeType   # noqa: E402
from model_archiver.manifest_components.model import Model          # noqa: E402
from model_archiver.model_archiver_error import ModelArchiverError  # noqa: E402
from model_archiver.model_packaging import generate_model_archive, package_model    # noqa: E402
from model_archiver.model_packaging_utils import ModelExportUtils as Utils          # noqa: E402
from model_archiver import model_packaging_utils                    # noqa: E402

SOURCES = {"h.py": "def handle(data, context): return data\n", "net.py": "class Net: pass\n",
           "w.pt": "weights", "requirements.txt": "numpy\n", "conf/model-config.yaml": "a: 1\n",
           "extra/index.json": "{}", "extra/deep/words.txt": "a b", "extra/.hidden": "x",
           "extra/__pycache__/no.pyc": "x"}


def sources():
    shutil.rmtree(FOLDER)
    for name, text in SOURCES.items():
        os.makedirs(os.path.dirname(os.path.join(FOLDER, name)), exist_ok=True)
        written(text, name)
    os.mkdir(os.path.join(FOLDER, "out"))


def config(**members):
    members = {"model_name": "m", "handler": "h.py", "version": "1.0", "export_path": "out",
               **members}
    for name in ("handler", "serialized_file", "model_file", "requirements_file", "config_file",
                 "extra_files", "export_path"):
        if members.get(name) and members[name] not in ("image_classifier", "/none"):
            members[name] = ",".join(os.path.join(FOLDER, n) for n in members[name].split(","))
    return ModelArchiverConfig(**members)


def manifest_of(text):
    found = json.loads(text)
    assert found.pop("createdOn")
    return found


def contents():
    """What was packed, by the path of the archive and of the file in it."""
    found = {}
    out = os.path.join(FOLDER, "out")
    for root, _, names in os.walk(out):
        for name in names:
            path = os.path.join(root, name)
            if name.endswith(".mar"):
                with zipfile.ZipFile(path) as z:
                    found.update({"%s!%s" % (name, n): z.read(n) for n in z.namelist()})
            elif name.endswith(".tar.gz"):
                with tarfile.open(path) as t:
                    found.update({"%s!%s" % (name, m.name): t.extractfile(m).read()
                                  for m in t if m.isfile()})
            else:
                with open(path, "rb") as f:
                    found[os.path.relpath(path, out)] = f.read()
    return {n: manifest_of(b) if n.endswith("MANIFEST.json") else b.decode()
            for n, b in sorted(found.items())}


def packed(pack, members, before=None):
    sources()
    if before:
        pack(config(**{**members, **before}))
    try:
        result = pack(config(**members))
    except FileNotFoundError as e:
        return ["not found", type(e).__name__ == "FileNotFoundError" or isinstance(
            e, ModelArchiverError), contents()]
    return [result, contents()]


def changed(config):
    """A manifest of the caller's own."""
    manifest = json.loads(Utils.generate_manifest_json(config))
    manifest["model"]["description"] = "mine"
    return package_model(config, manifest=json.dumps(manifest))


ALL = {"serialized_file": "w.pt", "model_file": "net.py", "requirements_file": "requirements.txt",
       "config_file": "conf/model-config.yaml", "extra_files": "extra/index.json,extra",
       "runtime": "python3"}

for pack in (ModelArchiver.generate_model_archive, generate_model_archive, changed,
             lambda c: package_model(c, Utils.generate_manifest_json(c))):
    each("pack", lambda members, before=None, p=pack: packed(p, members, before), [
        ({},), ({"handler": "image_classifier"},), (ALL,),
        *(({**ALL, "archive_format": form},) for form in ("tgz", "no-archive", "zip-store")),
        ({}, {}), ({"force": True}, {}), ({"archive_format": "tgz"}, {}),
        ({"model_name": "a b"},), ({"export_path": "/none"},), ({"serialized_file": "none.pt"},),
        ({"handler": "none.py"},), ({"extra_files": "none"},)])

each("manifest", lambda *a: manifest_of(str(Manifest(*a))), [
    ("python", Model("m", "a/w.pt", "b/h.py", "c/net.py", "1.0", {"x": 1}, "d/r.txt", "e/c.yaml")),
    ("LSP", Model("m", None, "h")), ("cobol", Model("m", None, "h"))])
CASES.append(("runtimes", lambda: {k.name: k.value for k in RuntimeType
                                   if k.name != "NATIVE"}))     # which is sconce's own
each("name", Utils.check_model_name_regex_or_exit, [("m",), ("m_1.2-x",), ("a b",), ("-a",), ("",)])
each("inputs", Utils.validate_inputs, [("m", "."), ("m", "/none"), ("a b", ".")])
each("unique", Utils.find_unique, [([], ".pt"), (["a.pt"], ".pt"), (["a.pt", "b.pt"], ".pt")])
each("folders", Utils.directory_filter, [("a", {"b"}), ("b", {"b"}), (".a", set())])
each("files", Utils.file_filter, [("a", {"b"}), ("b", {"b"}), ("a.pyc", set()),
                                  ("MANIFEST.json", set()), ("m.mar", set())])
each("path", Utils.get_archive_export_path, [("/x", "m", f) for f in
                                             ("default", "tgz", "no-archive", "zip-store")])
CASES.append(("tables", lambda: [model_packaging_utils.archiving_options,
                                 model_packaging_utils.model_handlers]))
each("config", lambda *a, **b: vars(ModelArchiverConfig(*a, **b)).keys(), [("m", "h", "1"), ()])


@case("steps")
def _():
    sources()
    c = config(**ALL)
    folder = Utils.copy_artifacts("m", "PYTHON", model_file=c.model_file, handler=c.handler,
                                  extra_files=c.extra_files)
    Utils.archive(os.path.join(FOLDER, "out"), "m", folder, Utils.generate_manifest_json(c))
    shutil.rmtree(folder)
    return contents()


if __name__ == "__main__":
    for number, (title, function) in enumerate(CASES):
        print(json.dumps({"case": steady("%d %s" % (number, title)), **run(function)}))
