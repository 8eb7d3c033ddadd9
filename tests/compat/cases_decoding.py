# SPDX-License-Identifier: Apache-2.0
"""From HTTP to what a handler sees: bodies of every type, forms, queries, headers, paths."""

from compat.case import FORM, MULTIPART, ask, case, get, multipart, part, post
from compat.looks import any_order


def sees(name, body, headers=None, target="/predictions/see", **more):
    return case(f"sees {name}", post(target, body, headers, look=any_order, **more))


def typed(kind, body, **more):
    return sees(f"{kind or 'no type'} {body[:24]!r}", body,
                {"Content-Type": kind} if kind else None, **more)


def form(name, body, **more):
    return sees(f"form {name}", body, FORM, **more)


def parts(name, *several, **more):
    return sees(f"parts {name}", multipart(*several), MULTIPART, **more)


TYPES = [typed(kind, body) for kind, body in [
    (None, b""),
    (None, b"plain bytes"),
    (None, b'{"a": 1}'),
    (None, b"\xff\x00\xfe"),
    ("application/json", b'{"a": [1, 2.5, true, null], "b": {"c": "d"}}'),
    ("application/json", b'[1, "two"]'),
    ("application/json", b'"text"'),
    ("application/json", b"42"),
    ("application/json", b"null"),
    ("application/json", b"{not json"),
    ("application/json", b""),
    ("application/json", b"\xff\xfe"),
    ("application/json", '{"ä": "中"}'.encode()),
    ("application/json", b'{"a": NaN, "b": 1e999}'),
    ("application/json", b'{"a": 1, "a": 2}'),
    ("application/json", b'{"big": 123456789012345678901234567890}'),
    ("application/json; charset=utf-8", b'{"a": 1}'),
    ("application/json;charset=utf-8", b'{"a": 1}'),
    ("Application/JSON", b'{"a": 1}'),
    ("application/vnd.api+json", b'{"a": 1}'),
    ("application/jsonl", b'{"a": 1}\n'),
    ("text/plain", b"some text"),
    ("text/plain", "ä中".encode()),
    ("text/plain", b"\xff\xfe"),
    ("text/plain", b""),
    ("text/plain; charset=latin-1", b"text"),
    ("text/csv", b"a,b\n1,2\n"),
    ("text/html", b"<p>"),
    ("text", b"only text"),
    ("textual", b"starts with text"),
    ("TEXT/PLAIN", b"upper"),
    ("application/octet-stream", b"\x00\x01"),
    ("image/jpeg", b"\xff\xd8\xff"),
    ("application/xml", b"<a/>"),
    ("nonsense", b"what"),
    (" text/plain", b"space before"),
    (";", b"only a semicolon"),
]] + [
    typed("application/json", b'\xef\xbb\xbf{"a": 1}', differs={"json-encodings": "body"}),
    typed("application/json", '{"a": 1}'.encode("utf-16"), differs={"json-encodings": "body"}),
    typed("application/json ; charset=utf-8", b'{"a": 1}', differs={"type-space": "body"}),
]

FORMS = [form(name, body) for name, body in [
    ("two fields", b"a=1&b=2"),
    ("repeated", b"a=1&b=2&a=3"),
    ("no equals", b"text"),
    ("json", b'{"a":"b"}'),
    ("json with equals", b'{"a":"b=c"}'),
    ("empty", b""),
    ("empty value", b"a="),
    ("ends with ampersand", b"a=1&b=2&"),
    ("ends with a name", b"a=1&b"),
    ("ends with line feed", b"a=1\n"),
    ("plus", b"a=1+2&b+c=3"),
    ("escapes", b"a=%31%20%C3%A4&%62=2"),
    ("utf-8", "ä=中".encode()),
    ("two equals", b"a=b=c"),
    ("name without value", b"a&b=1"),
    ("semicolons", b"a=1;b=2"),
    ("line end", b"a=1\r\n"),
    ("body", b"body=1"),
    ("data", b"data=x"),
]] + [
    form("many fields", b"&".join(b"f%d=1" % i for i in range(600)),
         differs={"field-count": "answer"}),
    form("empty name", b"=1", differs={"form-empty-name": "answer"}),
    form("ampersands", b"&&a=1&&b=2", differs={"form-empty-name": "answer"}),
    form("bad escape", b"a=%zz", differs={"form-bad-escape": "answer"}),
    form("random bytes", bytes(range(256)), differs={"form-bad-escape": "answer"}),
    form("lines", b"a=1\nb&c=2", differs={"form-lines": "body"}),
    sees("form with charset", b"a=%C3%A4",
         {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}),
    sees("form upper case", b"a=1", {"Content-Type": "Application/X-WWW-Form-Urlencoded"}),
]

PARTS = [parts(name, *several) for name, several in [
    ("one attribute", [part("1", "a")]),
    ("two attributes", [part("1", "a"), part("2", "b")]),
    ("repeated attribute", [part("1", "a"), part("2", "b"), part("3", "a")]),
    ("a file", [part(b"\xff\x00", "f", filename="x.bin", type="application/octet-stream")]),
    ("a text file", [part("ä", "f", filename="x.txt", type="text/plain")]),
    ("a text file with charset",
     [part("ä", "f", filename="x.txt", type="text/plain; charset=utf-8")]),
    ("a json file", [part('{"a": 1}', "f", filename="x.json", type="application/json")]),
    ("a bad json file", [part("{", "f", filename="x.json", type="application/json")]),
    ("a json file with charset",
     [part('{"a": 1}', "f", filename="x.json", type="application/json; charset=utf-8")]),
    ("a json attribute", [part('{"a": 1}', "j", type="application/json")]),
    ("a text attribute", [part("ä", "t", type="text/plain")]),
    ("a file without type", [part("x", "f", filename="x")]),
    ("an empty file name", [part("x", "f", filename="", type="text/plain")]),
    ("a file and an attribute",
     [part("1", "a"), part("x", "f", filename="x", type="text/plain")]),
    ("same name, file and attribute",
     [part("1", "a"), part("x", "a", filename="x", type="text/plain")]),
    ("an empty attribute", [part("", "a")]),
    ("an empty file", [part("", "f", filename="x", type="text/plain")]),
    ("utf-8 name", [part("1", "ä")]),
    ("line ends inside", [part("a\r\n\r\n--b\r\n-", "a")]),
    ("binary attribute", [part(b"\xff\xfe\x00", "a")]),
    ("body", [part("1", "body")]),
    ("many", [part(str(i), f"n{i}") for i in range(30)]),
    ("large", [part(b"x" * 100_000, "f", filename="x", type="application/octet-stream")]),
]]

QUERIES = [
    case(f"sees {target}", get(target, look=any_order), post(target, b"x", look=any_order))
    for target in [
        "/predictions/see?a=1", "/predictions/see/?a=1", "/predictions/see/1.0",
        "/predictions/see/1.0/", "/predictions/see/1.0/a", "/predictions/see/1.0/a/b/c",
        "/predictions/see/1.0/a//b", "/predictions/see/1.0/a%20b%2Fc/d", "/explanations/see",
        "/explanations/see/1.0", "/explanations/see/1.0/x/y", "/invocations?model_name=see",
        "/invocations?model_name=see&a=1&b=2&a=3", "/invocations?model_name=see&a",
        "/invocations?model_name=see&a=%C3%A4+b", "/models/see/invoke", "/models/see/invoke?a=1",
        "/models/see/invoke?model_name=other", "/see/predict", "/see/predict?a=1&b=",
        "/see/1.0/predict?a=1", "/v1/models/see:predict", "/v1/models/see:explain",
        "/v2/models/see/infer", "/v2/models/see/explain", "/v2/models/see/versions/1.0/infer",
    ]
]

INVOCATIONS = [
    sees("invocations form", b"model_name=see&a=1", FORM, "/invocations"),
    sees("invocations parts", multipart(part("see", "model_name"), part("1", "a")), MULTIPART,
         "/invocations"),
    sees("query and form", b"a=2&c=3", FORM, "/invocations?model_name=see&a=1&b=1"),
    sees("query and body", b"body", None, "/models/see/invoke?body=query"),
    sees("query and json", b'{"a": 1}', {"Content-Type": "application/json"},
         "/models/see/invoke?a=1"),
]

HEADERS = [sees(f"headers {name}", b"x", headers) for name, headers in [
    ("own", {"X-Mine": "1", "x-other": "two words"}),
    ("explain", {"explain": "True", "url_path": "mine"}),
    ("request id", {"x-request-id": "mine", "X-Request-Id": "mine too"}),
    ("empty", {"X-Empty": ""}),
    ("describe", {"describe": "True"}),
    ("spaces", {"X-Spaces": "  a  "}),
    ("accept", {"Accept": "application/json", "Accept-Encoding": "gzip"}),
    ("body", {"body": "a header named like the field"}),
    ("stream", {"ts_stream_next": "true"}),
    ("sequence", {"ts_request_sequence_id": "s1", "ts_request_sequence_start": "true"}),
]]

METHODS = [case(f"sees {method}", ask(method, "/predictions/see", b"x", look=any_order))
           for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "TRACE")] + [
    case("sees BREW", ask("BREW", "/predictions/see", b"x", differs={"methods": "answer"})),
]

IDS = [case("request id of the client", ask("GET", "/ping", None, {"x-request-id": "mine"},
                                            differs={"own-request-id": "header x-request-id"}))]

CASES = IDS + TYPES + FORMS + PARTS + QUERIES + INVOCATIONS + HEADERS + METHODS
