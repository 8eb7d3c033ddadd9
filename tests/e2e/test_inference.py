# SPDX-License-Identifier: Apache-2.0
"""From an HTTP request to what the handler sees, and from what it returns to the answer."""

import json

import pytest

from e2e.archives import make_mar
from e2e.client import encode_chunked
from e2e.server import assert_error

MEGABYTES_6 = 6 * 1024 * 1024
MAX_REQUEST = 6553500


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    for name in ("echo", "see", "kinds", "dress", "count", "trouble"):
        make_mar(store, name, f"{name}.py")
    make_mar(store, "twice", "see.py", file="twice-1.mar", version="1.0")
    make_mar(store, "twice", "see.py", file="twice-2.mar", version="2.0")
    make_mar(store, "a-b_c.d", "echo.py")
    return module_serve(store=store)


def seen(response):
    assert response.status_code == 200, response.text
    return response.json()


def fields(response):
    return seen(response)["fields"]


def test_header_values_are_utf8(server):
    headers = {"X-Who": "ünïcødé 中".encode(), "X-Raw": b"caf\xe9"}
    got = {name.lower(): value
           for name, value in seen(server.predict("see", b"x", headers=headers))["headers"].items()}
    assert got["x-who"] == "ünïcødé 中"
    assert got["x-raw"].encode("utf-8", "surrogateescape") == b"caf\xe9"


# ---- bodies ----

@pytest.mark.parametrize("kind,body,expected", [
    (None, b"", ["body", "bytearray", ""]),
    (None, b"\x00\xffraw", ["body", "bytearray", "\x00\xffraw"]),
    ("application/json", b'{"a": [1, 2.5, null]}', ["body", "dict", {"a": [1, 2.5, None]}]),
    ("application/json", b'[1, 2]', ["body", "list", [1, 2]]),
    ("application/json", b'"text"', ["body", "str", "text"]),
    ("application/json; charset=utf-8", b'{"a": 1}', ["body", "dict", {"a": 1}]),
    ("application/json", b"{broken", ["body", "bytearray", "{broken"]),
    ("application/json", b"", ["body", "bytearray", ""]),
    ("application/jsonx", b"{}", ["body", "bytearray", "{}"]),
    ("text/plain", "h\u00e9llo".encode(), ["body", "str", "h\u00e9llo"]),
    ("text/csv; charset=utf-8", b"a,b", ["body", "str", "a,b"]),
    ("text/plain", b"\xff\xfe", ["body", "bytearray", "\xff\xfe"]),
    ("application/octet-stream", b"bytes", ["body", "bytearray", "bytes"]),
    ("image/jpeg", b"\xff\xd8", ["body", "bytearray", "\xff\xd8"]),
])
def test_whole_body(server, kind, body, expected):
    headers = {"Content-Type": kind} if kind else {}
    assert fields(server.predict("see", body, headers=headers)) == [expected]


def test_what_clients_leave_out_is_there(server):
    """A length of no body, and the type of a file that has none."""
    assert seen(server.get("/predictions/see"))["headers"]["content-length"] == "0"
    response = server.call("POST", "/predictions/see", files={"f": ("f", b"x")})
    assert seen(response)["headers"]["f"] == {"content-type": "application/octet-stream"}


def test_get_without_body(server):
    assert fields(server.get("/predictions/see")) == [["body", "bytearray", ""]]


@pytest.mark.parametrize("body,expected", [
    ("a=1&b=2&a=3", [["a", "bytearray", "3"], ["b", "bytearray", "2"]]),
    ("a=x%20y+z&%C3%A9=%41", [["a", "bytearray", "x y z"], ["\u00e9", "bytearray", "A"]]),
    ("a=", [["a", "bytearray", ""]]),
    ("text without the sign", []),
    ('{"a":"b"}', []),
    ("", []),
])
def test_form(server, body, expected):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert fields(server.predict("see", body, headers=headers)) == expected


@pytest.mark.parametrize("body", ["a=%zz", "a=%4", b"\x80%\xff\x00=\x01"])
def test_form_with_a_bad_escape(server, body):
    response = server.predict("see", body,
                              headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert_error(response, 400, "BadRequestException",
                 "The body was sent as application/x-www-form-urlencoded but is not: it has a bad "
                 "escape. Set the Content-Type of what you send.")


@pytest.mark.parametrize("part,expected", [
    (("f", b"text", "text/plain"), ["str", "text"]),
    (("f", b'{"k": 2}', "application/json"), ["dict", {"k": 2}]),
    (("f", b"\xff\xd8", "image/jpeg"), ["bytearray", "\xff\xd8"]),
    (("f", b"plain"), ["bytearray", "plain"]),
    ((None, b"attribute"), ["bytearray", "attribute"]),
    ((None, b'{"k": 2}', "application/json"), ["bytearray", '{"k": 2}']),
    (("f", b"\r\n--not the boundary\r\n"), ["bytearray", "\r\n--not the boundary\r\n"]),
    (("f", b""), ["bytearray", ""]),
])
def test_multipart_part(server, part, expected):
    response = server.predict("see", files={"data": part})
    assert fields(response) == [["data", *expected]]


def test_multipart_of_several_parts_keeps_their_order_and_the_last_of_a_name(server):
    parts = [("a", ("1", b"one")), ("b", (None, b"two")), ("a", ("3", b"three"))]
    assert fields(server.predict("see", files=parts)) == [["a", "bytearray", "three"],
                                                         ["b", "bytearray", "two"]]


def test_multipart_without_a_boundary_is_a_plain_body(server):
    response = server.predict("see", b"anything", headers={"Content-Type": "multipart/form-data"})
    assert fields(response) == [["body", "bytearray", "anything"]]


@pytest.mark.parametrize("body", [b"", b"no boundary here", b"--B\r\n\r\nno name\r\n--B--\r\n",
                                  b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nx'])
def test_malformed_multipart(server, body):
    response = server.predict("see", body,
                              headers={"Content-Type": "multipart/form-data; boundary=B"})
    assert_error(response, 400, "BadRequestException",
                 "The multipart body is malformed: every part needs a Content-Disposition with a "
                 "name, and the last boundary must close it.")


def test_a_form_that_names_a_model_at_length(server):
    response = server.call("POST", "/invocations", data=b"model_name=" + b"\x01" * MEGABYTES_6,
                           headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert_error(response, 404, "ModelNotFoundException", "Model not found: " + "\x01" * 1024)


def test_large_multipart_file(server):
    data = bytes(range(256)) * 16384
    assert fields(server.predict("see", files={"data": ("big", data)})) == \
        [["data", "bytearray", len(data)]]


# ---- routes ----

def test_query_parameters_are_no_fields_of_a_prediction(server):
    assert fields(server.call("POST", "/predictions/see?a=1", data=b"x")) == \
        [["body", "bytearray", "x"]]


@pytest.mark.parametrize("path", ["/invocations?model_name=see&a=1", "/models/see/invoke?a=1"])
def test_invoke_takes_fields_from_the_query(server, path):
    expected = [["a", "bytearray", "1"], ["body", "bytearray", ""]]
    if "model_name" in path:
        expected = [["model_name", "bytearray", "see"], *expected]
    assert fields(server.get(path)) == expected


def test_invoke_does_not_set_explain_and_url_path(server):
    headers = seen(server.get("/models/see/invoke"))["headers"]
    assert "explain" not in headers and "url_path" not in headers


def test_invocations_by_form_field(server):
    response = server.call("POST", "/invocations", data={"model_name": "see", "x": "1"})
    assert fields(response) == [["model_name", "bytearray", "see"], ["x", "bytearray", "1"]]


def test_invocations_without_a_name(server):
    assert_error(server.call("POST", "/invocations", data=b"x"), 400, "BadRequestException",
                 "Parameter model_name is required.")


def test_invocations_of_the_only_model(serve, tmp_path):
    make_mar(tmp_path, "only", "echo.py")
    server = serve(store=tmp_path)
    assert server.call("POST", "/invocations", data=b"by default").text == "by default"


@pytest.mark.parametrize("path,expected", [
    ("/predictions/see", ""), ("/predictions/see/1.0", ""), ("/predictions/see/1.0/a/b", "a/b"),
    ("/predictions/see/1.0/v1/chat/", "v1/chat"), ("/predictions/see/1.0/a%20b", "a b")])
def test_url_path(server, path, expected):
    assert seen(server.get(path))["headers"]["url_path"] == expected


def test_explain_header(server):
    assert seen(server.get("/predictions/see"))["headers"]["explain"] == "False"
    assert seen(server.get("/explanations/see"))["headers"]["explain"] == "True"
    assert server.call("POST", "/explanations/count", data=b"x").json()["explain"] == "True"


def test_request_headers_reach_the_handler(server):
    response = server.predict("see", b"abc", headers={
        "X-Mixed-Case": "Value", "x-low": "1", "explain": "faked", "url_path": "faked",
        "Content-Type": "application/octet-stream"})
    headers = seen(response)["headers"]
    assert headers["X-Mixed-Case"] == "Value" and headers["x-low"] == "1"
    assert headers["explain"] == "False" and headers["url_path"] == ""
    assert headers["Content-Length"] == "3"
    assert headers["body"] == {"content-type": "application/octet-stream"}


def test_chunked_upload_gets_a_length(server):
    with server.raw() as raw:
        raw.send(encode_chunked("POST", "/predictions/see", [b"abc", b"de"]))
        answer = json.loads(raw.response().text)
    assert answer["fields"] == [["body", "bytearray", "abcde"]]
    assert answer["headers"]["content-length"] == "5"


def test_request_id_is_the_one_in_the_answer(server):
    response = server.predict("see", b"")
    assert seen(response)["id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_the_method_is_not_looked_at(server, method):
    assert server.call(method, "/predictions/echo", data=b"same").text == "same"


def test_names_with_punctuation(server):
    assert server.predict("a-b_c.d", b"x").text == "x"


def test_versions_side_by_side(server):
    assert seen(server.get("/predictions/twice/1.0"))["version"] == "1.0"
    assert seen(server.get("/predictions/twice/2.0"))["version"] == "2.0"
    assert seen(server.get("/predictions/twice"))["version"] in ("1.0", "2.0")


def test_kserve_v1_path(server):
    assert server.call("POST", "/v1/models/echo:predict", data=b"x").text == "x"


def test_kserve_v2_path(server):
    assert server.call("POST", "/v2/models/echo/infer", data=b"x").text == "x"


def test_legacy_predict_path(server):
    assert fields(server.get("/see/predict?a=1")) == [["a", "bytearray", "1"],
                                                     ["body", "bytearray", ""]]


@pytest.mark.parametrize("path", ["/", "/api-description", "/predictions/echo"])
def test_options_describes_the_api(server, path):
    method = "GET" if path == "/api-description" else "OPTIONS"
    response = server.call(method, path)
    assert response.status_code == 200
    assert response.json()["openapi"] == "3.0.1"


# ---- answers ----

@pytest.mark.parametrize("kind,expected", [
    ("bytes", b"\x00\xff bytes"),
    ("bytearray", b"\x00\xff bytearray"),
    ("empty", b""),
    ("str", "text \u00e4\u4e2d".encode()),
    ("dict", b'{\n  "a": 1,\n  "b": [\n    1,\n    2.5,\n    null,\n    true\n  ],\n'
             b'  "c": {\n    "d": "\\u00e4"\n  }\n}'),
    ("list", b'[\n  1,\n  "two",\n  [\n    3\n  ]\n]'),
    ("int", b"42"), ("float", b"0.1"), ("bool", b"true"), ("none", b"null"),
])
def test_answer_by_type(server, kind, expected):
    response = server.predict("kinds", kind)
    assert (response.status_code, response.content) == (200, expected)
    assert "content-type" not in response.headers


def test_answer_that_cannot_be_serialised(server):
    assert_error(server.predict("kinds", "object"), 503, "InternalServerException",
                 "Unsupported model output data type.")


@pytest.mark.torch
def test_tensor_answer(server):
    import io

    import torch
    value = torch.load(io.BytesIO(server.predict("kinds", "tensor").content))
    assert value.tolist() == [[0, 1, 2], [3, 4, 5]]


def dressed(server, **wish):
    return server.predict("dress", json.dumps(wish), headers={"Content-Type": "application/json"})


def test_content_type_and_headers_of_the_handler(server):
    response = dressed(server, type="application/x-own", headers={"X-Own": "value", "X-B": ""},
                       body="b")
    assert response.headers["content-type"] == "application/x-own"
    assert response.headers["x-own"] == "value"
    assert response.headers["x-b"] == ""
    assert response.text == "b"


def test_content_type_as_a_header_of_the_handler(server):
    response = dressed(server, headers={"content-type": "application/x-own"}, body="b")
    assert response.headers["content-type"] == "application/x-own"


@pytest.mark.parametrize("status", [201, 299, 404, 418, 429, 500, 599])
def test_status_of_the_handler_keeps_its_body(server, status):
    response = dressed(server, status=status, phrase="As I Say", body="own body")
    assert (response.status_code, response.reason) == (status, "As I Say")
    assert response.text == "own body"


def test_framing_headers_of_the_handler_are_ignored(server):
    response = dressed(server, headers={"Content-Length": "1", "Transfer-Encoding": "chunked",
                                        "Connection": "close"}, body="whole body")
    assert response.text == "whole body"
    assert response.headers["content-length"] == "10"


def test_header_overrides_a_standard_one(server):
    response = dressed(server, headers={"Cache-Control": "max-age=60"}, body="b")
    assert response.headers["cache-control"] == "max-age=60"


@pytest.mark.parametrize("value", ["a\r\nX-Smuggled: 1", "a\nb", "a\0b"])
def test_header_that_would_split_the_answer(server, value):
    response = dressed(server, headers={"X-Bad": value}, body="b")
    assert "x-smuggled" not in response.headers
    assert response.status_code in (200, 500, 503)
    assert dressed(server, body="still there").text == "still there"


# ---- sizes ----

def test_six_megabytes_there_and_back(server):
    data = bytes(range(256)) * (MEGABYTES_6 // 256)
    for _ in range(3):
        response = server.predict("echo", data)
        assert response.status_code == 200 and response.content == data


def test_six_megabytes_chunked(server):
    pieces = [bytes([i]) * 65536 for i in range(96)]
    with server.raw() as raw:
        raw.send(encode_chunked("POST", "/predictions/echo", pieces))
        assert raw.response().body == b"".join(pieces)


@pytest.mark.parametrize("size", [1, 8191, 8192, 8193, 65535, 65536, 65537, 1048576])
def test_sizes_around_the_borders(server, size):
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    assert server.predict("echo", data).content == data


def test_largest_request(server):
    with server.raw() as raw:
        assert raw.request("POST", "/predictions/trouble", b"x" * MAX_REQUEST).status == 200
        assert raw.request("POST", "/predictions/trouble", b"x" * (MAX_REQUEST + 1)).status == 413


def test_too_many_form_fields(server):
    body = "&".join(f"f{i}=1" for i in range(3000))
    response = server.predict("see", body,
                              headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert response.status_code == 413
    assert response.json()["message"].startswith("A request may have at most ")


def test_headers_about_the_connection_stay_with_it(server):
    with server.raw() as raw:
        raw.send("POST /predictions/see HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                 "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nX-Own: 2\r\n"
                 "Expect: 100-continue\r\n\r\n1\r\na\r\n0\r\n\r\n")
        headers = json.loads(raw.response().body)["headers"]
    assert {name.lower() for name in headers} == {"host", "x-own", "content-length", "url_path",
                                                  "explain", "body"}


@pytest.mark.parametrize("status", [100, 101, 199])
def test_a_status_that_is_no_answer(server, status):
    response = server.predict("dress", json.dumps({"status": status, "body": "x"}))
    assert response.status_code == 503
    assert server.predict("echo", b"next").content == b"next"
