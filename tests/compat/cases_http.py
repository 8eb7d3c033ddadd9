# SPDX-License-Identifier: Apache-2.0
"""HTTP as bytes: framing, limits, versions, what is kept open, and what no server should take."""

from compat.case import bare, case, raw
from compat.looks import fields
from e2e.client import encode, encode_chunked

GET = b"GET /ping HTTP/1.1\r\nHost: x\r\n"
SEE = b"POST /predictions/see HTTP/1.1\r\nHost: x\r\n"
PING = encode("GET", "/ping")
CHUNKED = SEE + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


# What replies have in TorchServe even where there was no request to reply to.
PARSER = {"parser-errors": "header cache-control, header expires, header pragma, "
                           "header x-request-id"}


def sent(name, data, differs=None, **more):
    return case(f"HTTP {name}", raw(data, differs=differs or {}, **more))


def seen(name, data, differs=None, **more):
    return sent(name, data, differs, look=fields, **more)


def refused(name, data, differs="refused", **more):
    """Taken by one and not by the other."""
    return sent(name, data, {differs: "answer"}, **more)


TAKEN = [
    sent("keep-alive", PING, end=True),
    sent("blank lines before", b"\r\n\r\n" + PING),
    sent("absurd query", encode("GET", "/ping?" + "&".join(["a=b"] * 200))),
    sent("long line", encode("GET", "/ping?" + "x" * 4000)),
    sent("escaped path", encode("GET", "/%70ing")),
    sent("fragment", encode("GET", "/ping?a#b")),
    sent("fragment of a path", encode("GET", "/ping#/no/such")),
    seen("chunked", encode_chunked("POST", "/predictions/see", [b"one ", b"two"])),
    seen("chunked and empty", encode_chunked("POST", "/predictions/see", [])),
    seen("chunked with an extension", CHUNKED + b"3;name=value\r\nabc\r\n0\r\n\r\n"),
    seen("chunked with trailers", CHUNKED + b"3\r\nabc\r\n0\r\nX-Trailer: yes\r\n\r\n"),
    seen("chunked in capitals", SEE + b"Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    seen("expectation", SEE + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\nab"),
    sent("other expectation", SEE + b"Content-Length: 2\r\nExpect: other\r\n\r\nab",
         bare()),
    sent("after an error", encode("GET", "/nothing"), {"open-after-errors": "end"}, end=True),
    seen("HTTP/1.0 body", b"POST /predictions/see HTTP/1.0\r\nContent-Length: 2\r\n\r\nab",
         {"connection-close": "header connection"}),
]

NEITHER = [
    sent("two equal lengths", SEE + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", PARSER),
    sent("two lengths", SEE + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", PARSER),
    sent("garbage", b"GARBAGE\r\n\r\n", PARSER, end=True),
    sent("blank before colon", SEE + b"Content-Length : 4\r\n\r\nabcd", PARSER),
    sent("no colon", GET + b"nonsense\r\n\r\n", PARSER),
    sent("bad chunk size", CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n"),
    sent("NUL in a value", GET + b"X-A: b\0c\r\n\r\n", PARSER),
    sent("bare CR in a value", GET + b"X-A: b\rc\r\n\r\n", PARSER),
]

KEPT = [
    sent("connection: close", GET + b"Connection: close\r\n\r\n",
         {"connection-close": "end, header connection"}, end=True),
    sent("HTTP/1.0", b"GET /ping HTTP/1.0\r\n\r\n",
         {"connection-close": "end, header connection"}, end=True),
    sent("HTTP/1.0 keep-alive", b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", end=True),
]

LIMITS = [
    sent("long line refused", encode("GET", "/ping?" + "x" * 5000), {"long-lines": "answer"}),
    sent("long header", encode("GET", "/ping", None, {"X-Long": "y" * 9000}),
         {"long-lines": "answer"}),
]

STRICT = [
    refused("length and chunked", SEE + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\n" + SMUGGLED),
    refused("no host", b"GET /predictions/see HTTP/1.1\r\n\r\n"),
    refused("two hosts", b"GET /predictions/see HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    refused("negative length", SEE + b"Content-Length: -1\r\n\r\n"),
    refused("signed length", SEE + b"Content-Length: +2\r\n\r\nab"),
    refused("bare LF", b"GET /ping HTTP/1.1\nHost: x\n\n"),
    refused("bare LF in headers", b"GET /ping HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n"),
    refused("folded header", GET + b"X-A: b\r\n c\r\n\r\n"),
    refused("unknown coding", SEE + b"Transfer-Encoding: zip\r\n\r\n"),
    refused("chunked is not last", SEE + b"Transfer-Encoding: chunked, zip\r\n\r\n0\r\n\r\n"),
    refused("negative chunk size", CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n"),
    refused("HTTP/9.9", b"GET /ping HTTP/9.9\r\nHost: x\r\n\r\n"),
    refused("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    refused("lower case method", b"get /ping HTTP/1.1\r\nHost: x\r\n\r\n"),
    refused("no version", b"GET /ping\r\n\r\n"),
    refused("escaped NUL", b"GET /predictions/a%00b HTTP/1.1\r\nHost: x\r\n\r\n"),
]

TARGETS = [refused(f"target {target}", f"{target} HTTP/1.1\r\nHost: x\r\n\r\n", "targets")
           for target in ("OPTIONS *", "CONNECT a:1", "GET http://x/ping", "GET *", "GET ping")]

CASES = TAKEN + NEITHER + KEPT + LIMITS + STRICT + TARGETS
