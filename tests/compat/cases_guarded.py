# SPDX-License-Identifier: Apache-2.0
"""Keys, no model API, CORS, small limits, raw bodies, KServe's protocol: one strict server."""

import json

from compat.case import FORM, JSON, MULTIPART, Do, ask, bare, cases_for, manage, multipart, part
from compat.looks import any_order, operations

case = cases_for("guarded")


def bearer(kind, **more):
    return {"Authorization": f"Bearer <{kind} key>", **more}


WITHOUT = [case(f"without a key: {method} {on} {target}", ask(method, target, on=on))
           for method, on, target in (
    ("GET", "inference", "/ping"), ("POST", "inference", "/predictions/see"),
    ("GET", "inference", "/predictions/nobody"),
    ("GET", "inference", "/"), ("GET", "inference", "/invocations"),
    ("OPTIONS", "inference", "/predictions/see"), ("GET", "inference", "/v2/health/live"),
    ("GET", "management", "/models"), ("POST", "management", "/models?url=x"),
    ("GET", "management", "/models/see"),
    ("PUT", "management", "/models/see"), ("GET", "management", "/token"),
    ("GET", "management", "/token?type=inference"), ("GET", "metrics", "/nothing"),
)] + [
    case(f"described without a key at {on}", ask("OPTIONS", "/", on=on, look=operations,
                                                 differs={"api-documents": "body"}))
    for on in ("inference", "management")
] + [
    case(f"nothing without a key at {on}", ask("GET", "/nothing", on=on, differs={
        "key-before-path": "status, reason, body"})) for on in ("inference", "management")
]

KEYS = [case(f"key {value}", ask("GET", "/ping", None, {"Authorization": value}),
             ask("GET", "/models", None, {"Authorization": value}, on="management"),
             ask("GET", "/token?type=inference", None, {"Authorization": value}, on="management"))
        for value in (
    "", "Bearer", "Bearer ", "Bearer wrong", "<inference key>", "Basic <inference key>",
    "Bearer wrong <inference key>", "Bearer <inference key> wrong",
)] + [
    case("inference key", ask("GET", "/ping", None, bearer("inference")),
         manage("GET", "/models", None, bearer("inference")),
         manage("GET", "/token?type=inference", None, bearer("inference"))),
    case("management key", ask("GET", "/ping", None, bearer("management")),
         manage("GET", "/models", None, bearer("management")),
         manage("GET", "/token?type=inference", None, bearer("management"))),
    case("API key", ask("GET", "/ping", None, bearer("API")),
         manage("GET", "/models", None, bearer("API")),
         manage("GET", "/token", None, bearer("API")),
         manage("GET", "/token?type=", None, bearer("API")),
         manage("GET", "/token?type=other", None, bearer("API")),
         manage("GET", "/token?type=API", None, bearer("API"))),
    case("renewal", manage("GET", "/token?type=inference", None, bearer("API")),
         ask("GET", "/ping", None, bearer("inference")),
         manage("POST", "/token?type=management", None, bearer("API")),
         manage("GET", "/models", None, bearer("management"))),
    case("blanks and case", *(ask("GET", "/ping", None, {"Authorization": f"{word}<inference key>"})
                              for word in ("Bearer   ", "bearer ", "BEARER "))),
]

NO_API = [case(f"no model API: {method} {target}", manage(method, target, None,
                                                          bearer("management")))
          for method, target in (
    ("POST", "/models"), ("POST", "/models?url=see.mar"), ("DELETE", "/models/see"),
    ("DELETE", "/models/see/1.0"), ("DELETE", "/models/nobody"),
    ("PUT", "/models/see?min_worker=1&synchronous=true"), ("GET", "/models/see"),
    ("PUT", "/models/see/1.0/set-default"),
)]


def infer(name, body=None, headers=None, target="/predictions/see", **more):
    return case(name, ask("POST", target, body, {**bearer("inference"), **(headers or {})},
                          look=any_order, **more))


RAW = [
    infer("raw JSON", '{"a": 1}', JSON), infer("raw text", "ä", {"Content-Type": "text/plain"}),
    infer("raw form", "a=1", FORM),
    infer("raw parts", multipart(part("x", "f", filename="x", type="text/plain")), MULTIPART),
]

BARE = bare("headers", "methods", "origin")
LIMITS = [
    infer("body at the limit", "x" * 1000), infer("body over the limit", "x" * 1001, differs=BARE),
    infer("body far over the limit", "x" * 100_000, differs=BARE),
    infer("response at the limit", "huge 900", target="/predictions/trouble"),
    infer("only model", "x", target="/invocations"),
]

OPEN = [case(f"KServe {method} {target}", ask(method, target, None, bearer("inference")))
        for method, target in (
    ("GET", "/v2/health/live"), ("GET", "/v2/health/ready"), ("POST", "/v2/health/live"),
    ("GET", "/v2/health"), ("GET", "/v2/nothing"),
    ("GET", "/v1/models/nobody:predict"), ("GET", "/v2/models/nobody/infer"),
)] + [
    case("KServe server", ask("GET", "/v2", None, bearer("inference"),
                              differs={"v2-extensions": "body"})),
] + [
    case(f"KServe {target}", ask("GET", target, None, bearer("inference"), differs={
        "v2-models": "answer"}))
    for target in ("/v2/models/see", "/v2/models/see/ready", "/v2/models/nobody",
                   "/v2/models/see/versions/1.0", "/v2/models/see/versions/1.0/ready",
                   "/v2/models/see/versions/1.0/infer")
]

ORIGIN = {"Origin": "https://a.example"}
CORS = [case(f"CORS {method} {target}", ask(method, target, None, {
    **bearer("inference"), **headers})) for method, target, headers in (
    ("GET", "/ping", ORIGIN), ("GET", "/ping", {"Origin": "https://b.example"}),
    ("GET", "/nothing", ORIGIN), ("GET", "/predictions/nobody", ORIGIN),
)] + [
    case("CORS preflight", ask("OPTIONS", "/predictions/see", None, {
        **ORIGIN, "Access-Control-Request-Method": "POST"}, differs={"preflight": "answer"})),
]


def key_file(server):
    """What the file looks like and who may read it."""
    path = server.root / "key_file.json"
    keys = json.loads(path.read_text())
    shape = {kind: {name: len(value) if name == "key" else "time" for name, value in one.items()}
             for kind, one in keys.items()}
    return oct(path.stat().st_mode), sorted(shape.items())


FILE = [case("key file", Do(key_file))]

CASES = FILE + WITHOUT + KEYS + NO_API + RAW + LIMITS + OPEN + CORS
