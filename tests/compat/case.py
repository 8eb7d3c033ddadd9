# SPDX-License-Identifier: Apache-2.0
"""What a case is: requests for both servers, and the deviations that its answers show.

A deviation has an id, which docs/compatibility.md explains, and the aspects of an answer that it
changes ("status", "reason", "body", "header x", "end"). An aspect that differs without being
named fails the case, and so does a named one that does not differ.
"""

import functools
from dataclasses import dataclass, field

BOUNDARY = "compat-boundary"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
JSON = {"Content-Type": "application/json"}


def bare(*cors):
    """TorchServe answers some errors of HTTP without a document, and without the headers that its
    replies have, those of CORS among them where they are set."""
    names = ("cache-control", "connection", "content-type", "expires", "pragma", "x-request-id",
             *(f"access-control-allow-{name}" for name in cors))
    return {"bare-errors": ", ".join(["body", *(f"header {name}" for name in names)])}


@dataclass(frozen=True)
class Ask:
    """One request, or bytes to send as they are, on a connection of its own."""

    method: str = "GET"
    target: str = "/"
    body: bytes = None
    headers: dict = field(default_factory=dict)
    on: str = "inference"       # the listener
    raw: bytes = None           # instead of all that
    answers: int = 1            # how many to wait for
    end: bool = False           # compare, too, whether the connection is closed after them
    look: object = None         # turns the text of a body into what is compared
    until: object = None        # asks again until this is true of the answer
    differs: dict = field(default_factory=dict)     # {deviation: "aspect, aspect"}


@dataclass(frozen=True)
class Do:
    """What takes more than one request at a time: a function of a server, whose result counts."""

    what: object
    differs: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """Steps in order, between two servers of a configuration (see models.py)."""

    name: str
    steps: tuple
    config: str = "plain"


def ask(method, target, body=None, headers=None, **more):
    body = body.encode() if isinstance(body, str) else body
    return Ask(method, target, body, headers or {}, **more)


def get(target, **more):
    return ask("GET", target, **more)


def post(target, body=None, headers=None, **more):
    return ask("POST", target, body, headers, **more)


def manage(method, target, body=None, headers=None, **more):
    return ask(method, target, body, headers, on="management", **more)


def raw(data, **more):
    return Ask(raw=data.encode() if isinstance(data, str) else data, **more)


def case(name, *steps, config="plain"):
    return Case(name, steps, config)


def cases_for(config):
    """case() with its configuration filled in."""
    return functools.partial(case, config=config)


def part(content, name=None, **parameters):
    """A part of a form. `type` is its content type; others go into its content-disposition."""
    kind = parameters.pop("type", None)
    named = {"name": name} if name is not None else {}
    words = "".join(f'; {key}="{value}"' for key, value in {**named, **parameters}.items())
    head = f"Content-Disposition: form-data{words}\r\n"
    head += f"Content-Type: {kind}\r\n" if kind else ""
    return head.encode() + b"\r\n" + (content.encode() if isinstance(content, str) else content)


def multipart(*parts):
    """A body of parts, each made by part() or written by hand."""
    lines = b"".join(b"--%s\r\n%s\r\n" % (BOUNDARY.encode(), p) for p in parts)
    return lines + b"--%s--\r\n" % BOUNDARY.encode()
