# SPDX-License-Identifier: Apache-2.0
"""The life of models: registered, listed, described, scaled, made the default, unregistered."""

from compat.case import JSON, ask, cases_for, get, manage, post
from compat.looks import any_order, operations

case = cases_for("manage")

READY = {"until": lambda answer: '"status": "READY"' in answer.body}


def register(query="", url="see.mar", **more):
    return manage("POST", f"/models?url={url}" + (f"&{query}" if query else ""), **more)


def gone(name, version=None):
    return manage("DELETE", f"/models/{name}" + (f"/{version}" if version else ""))


def described(name, version=None, **more):
    return manage("GET", f"/models/{name}" + (f"/{version}" if version else ""), **more)


def lives(name, *steps, query="", model="see", url="see.mar"):
    """A model is there during the steps. Nothing is left for other cases."""
    return case(name, register(query, url), *steps, gone(model))


REFUSED = [case(f"registers {target}", manage("POST", target)) for target in (
    "/models", "/models?", "/models?url", "/models?url=", "/models?model_name=x",
    "/models?url=none.mar", "/models?url=../see.mar", "/models?url=a/../../see.mar",
    "/models?url=ftp://127.0.0.1/none.mar", "/models?url=see", "/models?url=sub/none.mar",
    "/models?url=see.mar&runtime=java",
    "/models/see", "/models/see/1.0", "/models?url=file:///none/none.mar",
    "/models?url=http://127.0.0.1:9/none.mar", "/models?url=http://localhost:aaaa",
)] + [
    case("registers by the last word of a path", register(url="sub/see.mar"), described("see"),
         gone("see")),
    case("registers with an empty runtime", register("runtime=")),
    case("registers by the last word of a URL",
         register(url="ftp://127.0.0.1/see.mar", differs={"other-schemes": "answer"})),
    case("registers a file", register(url="file://<folder>/store/elsewhere/away.mar"),
         described("away"), gone("away")),
    case("registers a file of the store", register(url="file://<folder>/store/see.mar", differs={
        "file-in-place": "answer"})),
    case("registers an absolute folder", register(url="<folder>/store/folder"),
         described("folder"), gone("folder")),
    case("registers an absolute path", register(url="<folder>/store/see.mar"),
         described("see"), gone("see")),
    case("registers a folder elsewhere", register(url="<folder>/outside", differs={
        "outside-folders": "answer"})),
    case("registers a path of another machine", register(url="/another/machine/see.mar"),
         described("see"), gone("see")),
    case("registers what is in a folder of the store", register(
        url="elsewhere/away.mar", differs={"folders-of-store": "answer"})),
]

WRONG = [case(f"{method} {target}", manage(method, target)) for method, target in (
    ("PUT", "/models"), ("DELETE", "/models"), ("PATCH", "/models"), ("HEAD", "/models/none"),
    ("GET", "/models/none"), ("GET", "/models/none/1.0"), ("GET", "/models/none/all"),
    ("PUT", "/models/none"), ("PUT", "/models/none?min_worker=1"), ("PUT", "/models/none/1.0"),
    ("PUT", "/models/none/1.0/set-default"), ("PUT", "/models/none/set-default"),
    ("DELETE", "/models/none"), ("DELETE", "/models/none/1.0"), ("DELETE", "/models/none/1.0/x"),
    ("GET", "/models/none/1.0/x"), ("GET", "/models/none?customized=true"),
    ("POST", "/models/none"), ("PATCH", "/models/none"), ("GET", "/"), ("POST", "/"),
    ("GET", "/nothing"), ("GET", "/ping"), ("GET", "/predictions/see"), ("GET", "/metrics"),
    ("GET", "/v1/models/none"), ("POST", "/v1/models/none"),
    ("GET", "/v2/models/none"), ("GET", "/token"),
)] + [
    case("GET /v1/models", manage("GET", "/v1/models", differs={"v1-models": "answer"})),
    case("workflows", *(manage(method, "/workflows/none", differs={"workflows": "body"})
                        for method in ("GET", "DELETE"))),
]

LISTS = [case(
    "lists", register("model_name=b"), register("model_name=a"), register("model_name=B"),
    *(manage("GET", f"/models{query}", differs={"last-page": "body"})
      for query in ("?limit=3", "?limit=1&next_page_token=2")),
    *(manage("GET", f"/models{query}") for query in (
        "", "?", "?limit=1", "?limit=2", "?limit=0", "?limit=-1", "?limit=101",
        "?limit=100", "?limit=x", "?limit=", "?limit=1&next_page_token=1", "?next_page_token=2",
        "?next_page_token=-1", "?next_page_token=x",
        "?limit=2&limit=1", "?next_page_token=99", "/?limit=1", "?limit=1;next_page_token=1",
        "?;limit=1", "?limit=1;", "?limit=1#&limit=2", "?=1&limit=1", "?limit==1", "?limit=+1",
        "?limit=%31")),
    gone("a"), gone("b"), gone("B"))]

VALUES = [lives(f"with {query}", described("see"), query=query) for query in (
    "", "batch_size=4", "batch_size=-1", "batch_size=x",
    "max_batch_delay=5", "max_batch_delay=0", "max_batch_delay=x",
    "response_timeout=7", "response_timeout=0", "response_timeout=-1", "startup_timeout=9",
    "startup_timeout=0", "runtime=python3", "runtime=python", "handler=none.py",
    "initial_workers=0", "initial_workers=x", "initial_workers=-1", "synchronous=false",
    "s3_sse_kms=true", "unknown=1", "batch_size=2&batch_size=3", "handler=see.py:handle",
)] + [
    lives(f"with {query}", described("see", differs={"impossible-values": "body"}), query=query)
    for query in ("batch_size=0", "batch_size=-5", "max_batch_delay=-1")
] + [
    lives("under another name", described("other"), described("see"), query="model_name=other",
          model="other"),
    lives("under a name with signs", described("a-b_c.d"), query="model_name=a-b_c.d",
          model="a-b_c.d"),
    lives("with a yaml", described("yaml"), url="yaml.mar", model="yaml"),
    lives("with a yaml and parameters", described("yaml"), url="yaml.mar", model="yaml",
          query="batch_size=9&max_batch_delay=8&response_timeout=7&startup_timeout=6"),
    lives("with a yaml of wrong types", described("wrong", differs={"rendered-numbers": "body"}),
          url="wrong.mar", model="wrong"),
    lives("twice", register(), register("model_name=see"), described("see")),
    lives("a folder", described("folder"), url="folder", model="folder"),
    lives("a tar.gz", described("tar"), url="tar.tar.gz", model="tar"),
    lives("without a manifest", described("named"), url="bare.mar", query="model_name=named",
          model="named"),
    case("without a manifest or name", register(url="bare.mar")),
    case("a manifest that is no JSON", register(url="unparsable.mar")),
    case("an unknown runtime", register(url="runtime.mar")),
    case("no zip", register("model_name=nozip", "nozip.mar", differs={"no-zip": "answer"})),
]

VERSIONS = [
    case("versions", register(), register(url="see2.mar"),
         *(described("see", version) for version in (None, "1.0", "2.0", "all", "3.0")),
         manage("GET", "/models"),
         *(manage("PUT", f"/models/see/{path}") for path in (
             "3.0/set-default", "2.0/set-default", "2.0/set-default/", "2.0/set-default/x",
             "2.0/other", "set-default")),
         described("see"), gone("see", "2.0"), gone("see", "3.0"), gone("see", "1.0"),
         gone("see", "2.0"), described("see")),
    case("unregistering without a version", register(), register(url="see2.mar"), gone("see"),
         described("see"), gone("see", "1.0"), gone("see"), gone("see", "2.0"), gone("see")),
    lives("deletes with parameters",
          manage("DELETE", "/models/see?synchronous=true&timeout=1"), register()),
]

def document(method, target, on, **more):
    return ask(method, target, on=on, look=operations, **more)


OPTIONS = [
    lives("options", *(document("OPTIONS", target, on, differs={"api-documents": "body"}
                                if on == "inference" and "none" not in target else {})
                       for on, target in (
        ("management", "/models/see"), ("management", "/models/see/1.0"),
        ("management", "/models/see/9"), ("management", "/models/none"),
        ("inference", "/predictions/see"), ("inference", "/predictions/none"),
        ("inference", "/predictions/see/1.0"), ("inference", "/explanations/see"),
        ("inference", "/models/see/invoke"), ("inference", "/invocations?model_name=see"),
        ("inference", "/v1/models/see:predict"), ("inference", "/v2/models/see/infer"),
        ("inference", "/see/predict"))))
] + [
    case(f"describes {on} {method} {target}", document(
        method, target, on, differs={"api-documents": "body"}))
    for on in ("inference", "management", "metrics")
    for method, target in (("OPTIONS", "/"), ("GET", "/api-description"),
                           ("OPTIONS", "/api-description"))
] + [
    case(f"describes nothing at {on}", ask("OPTIONS", "/nothing", on=on))
    for on in ("inference", "management", "metrics")
]

NO_WORKER = "?min_worker=0&synchronous=true"
SCALED = [
    lives("without workers", described("see"), post("/predictions/see", "x"),
          post("/predictions/see/1.0", "x"), post("/invocations?model_name=see", "x"),
          post("/v1/models/see:predict", "x"), get("/ping"),
          described("see?customized=true"), manage("GET", "/v1/models/see"),
          manage("PUT", "/models/see?min_worker=2&max_worker=1"),
          manage("PUT", "/models/see?min_worker=0"), manage("PUT", f"/models/see{NO_WORKER}"),
          manage("PUT", f"/models/see/1.0{NO_WORKER}"), manage("PUT", f"/models/see/9{NO_WORKER}"),
          manage("PUT", f"/models/see{NO_WORKER}&model_version=9"),
          manage("PUT", f"/models/see{NO_WORKER}&model_version=1.0"),
          manage("PUT", "/models/see?min_worker=x&max_worker=0")),
    lives("scaled", manage("PUT", "/models/see?synchronous=true"), described("see"),
          manage("GET", "/v1/models/see"), get("/predictions/see", look=lambda text: text[:20]),
          manage("PUT", "/models/see?min_worker=1&max_worker=3&synchronous=true"),
          described("see"), described("see?customized=true", look=any_order),
          manage("PUT", f"/models/see{NO_WORKER}"),
          described("see", until=lambda answer: '"workers": []' in answer.body),
          manage("GET", "/v1/models/see")),
    lives("scaled later", manage("PUT", "/models/see/1.0?min_worker=1&number_gpu=1&timeout=-1"),
          described("see", **READY), manage("PUT", "/models/see?max_worker=1&min_worker=1")),
    lives("customized", described("count?customized=true"), described("count?customized=false"),
          described("count/1.0?customized=true"), described("count/all?customized=true"),
          described("count?customized=TRUE"), url="count.mar", model="count",
          query="initial_workers=1"),
    lives("with a worker", described("see"), query="initial_workers=1"),
    lives("asynchronous", described("see", **READY), query="initial_workers=1&synchronous=false"),
    lives("with a bad handler", described("see"), query="handler=none.py"),
]

FAILS = [
    # Whether TorchServe then keeps the model is a race there.
    case("a handler that cannot be imported", register("initial_workers=1", "bad.mar")),
]

NO_DELAY = {"differs": {"json-delay": "body"}}
BODIES = [case(f"JSON {body}", manage("POST", "/models", body, JSON), described("see", **more),
               gone("see")) for body, more in (
    ('{"url": "see.mar"}', NO_DELAY),
    ('{"url": "see.mar", "initial_workers": 0, "batch_size": 3, "max_batch_delay": 4}', {}),
    ('{"url": "see.mar", "batch_size": "3", "max_batch_delay": "7", "response_timeout": "9"}', {}),
    ("{'url':'see.mar','initial_workers':'0','synchronous':'true', max_batch_delay: 3}", {}),
    ('{"url": "see.mar", "model_name": null, "max_batch_delay": 3, "x": [1, {"a": 2}]}', {}),
    ('{"url": "none.mar"}', {}), ('{"url": ""}', {}), ('{}', {}),
    ('{"url": "see.mar", "max_batch_delay": 3, "url": "none.mar"}', {}),
    ('{"max_batch_delay": 3, "url": "none.mar", "max_batch_delay": 4, "url": "see.mar"}', {}),
    ('{"url": "see.mar", "max_batch_delay": 3, "url": null}', {}),
    ('{"url": "see.mar", "runtime": "java"}', {}),
)] + [
    case("JSON with a charset", manage("POST", "/models", '{"url": "see.mar"}',
                                       {"Content-Type": "application/json; charset=utf-8"}),
         gone("see")),
    case("JSON and a query", manage("POST", "/models?url=none.mar",
                                    '{"url": "see.mar", "max_batch_delay": 3}', JSON),
         gone("see")),
    case("JSON of another type", manage("POST", "/models?url=see.mar", '{"url": "none.mar"}'),
         gone("see")),
] + [
    case(f"JSON {name}", manage("POST", "/models", body, JSON, differs={"bad-json": "answer"}))
    for name, body in (("cut off", '{"url": '), ("empty", ""))
]

CASES = (REFUSED + WRONG + LISTS + VALUES + VERSIONS + OPTIONS + SCALED + FAILS + BODIES)
