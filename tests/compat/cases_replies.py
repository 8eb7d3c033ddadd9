# SPDX-License-Identifier: Apache-2.0
"""From what a handler returns to the reply: types, statuses, headers, streams, explanations."""

import json

from compat.case import JSON, ask, case, get, post
from compat.looks import any_order

KINDS = [case(f"returns {kind}", post("/predictions/kinds", kind)) for kind in (
    "bytes", "bytearray", "empty", "str", "dict", "list", "int", "float", "bool", "none")]


def dressed(name, differs=None, target="/predictions/dress", **wish):
    return case(f"dressed in {name}", post(target, json.dumps(wish), JSON,
                                           differs=differs or {}))


DRESSED = [
    dressed("nothing", body="x"),
    dressed("status 201", status=201, body="x"),
    dressed("status 202 with a phrase", status=202, phrase="Well done", body="x"),
    dressed("status 400", status=400, body="bad"),
    dressed("status 404 with a phrase", status=404, phrase="Not here", body={"a": 1}),
    dressed("status 418", status=418, body="tea"),
    dressed("status 500", status=500, body="own body"),
    dressed("status 503", status=503, phrase="Later", body="own body"),
    dressed("status 599", status=599, body="x"),
    dressed("status 299", status=299, body="x"),
    dressed("status 301", status=301, headers={"Location": "/elsewhere"}, body="x"),
    dressed("status 204", status=204, body=""),
    dressed("text type", type="text/plain", body="x"),
    dressed("json type", type="application/json", body={"a": 1}),
    dressed("type with charset", type="text/html; charset=utf-8", body="<p>"),
    dressed("type as a header", headers={"content-type": "image/png"}, body="x"),
    dressed("type as a header in capitals", headers={"Content-Type": "image/png"}, body="x"),
    dressed("both types", type="text/plain", headers={"Content-Type": "image/png"}, body="x"),
    dressed("headers", headers={"X-One": "1", "x-two": "two words", "X-Empty": ""}, body="x"),
    dressed("no-cache overridden", {"cache-headers": "header cache-control, header pragma"},
            headers={"Cache-Control": "max-age=60", "Pragma": "x"}, body="x"),
    dressed("its own request id", headers={"x-request-id": "mine"}, body="x"),
    dressed("its own expiry", {"cache-headers": "header expires"}, headers={"Expires": "never"},
            body="x"),
    dressed("a long header", headers={"X-Long": "x" * 3000}, body="x"),
    dressed("explain", target="/explanations/dress", status=201, body="x"),
    dressed("kserve", target="/v1/models/dress:predict", type="text/plain", body="x"),
    dressed("kserve v2", target="/v2/models/dress/infer", type="text/plain", body="x"),
]

STREAMS = [
    case("streams", post("/predictions/pieces", "3")),
    case("streams nothing", post("/predictions/pieces", "0")),
    case("streams one", post("/predictions/pieces", "1")),
    case("streams many", post("/predictions/pieces", "200")),
    case("streams to HEAD", ask("HEAD", "/predictions/pieces", "0")),
    case("streams by KServe", post("/v1/models/pieces:predict", "2")),
    case("streams an explanation", post("/explanations/pieces", "2")),
]

COUNTS = [
    case("explains with a class",
         post("/explanations/count", b"x", look=lambda text: json.loads(text)["explain"])),
]

HEADS = [case(f"HEAD {target}", ask("HEAD", target, look=any_order)) for target in (
    "/ping", "/predictions/kinds", "/nothing", "/predictions/nobody", "/models", "/api-description")
]

PINGS = [case(f"{method} /ping", ask(method, "/ping")) for method in (
    "GET", "POST", "PUT", "DELETE")] + [
    case("/ping?x=1", get("/ping?x=1")),
    case("/ping/", get("/ping/")),
    case("//ping", get("//ping")),
    case("/ping/more", get("/ping/more")),
]

CASES = KINDS + DRESSED + STREAMS + COUNTS + HEADS + PINGS
