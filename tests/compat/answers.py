# SPDX-License-Identifier: Apache-2.0
"""Sends a request and keeps what came back, in the form in which it is compared."""

import contextlib
import re
from dataclasses import dataclass, field

from compat.case import Do
from e2e.client import Broken, Raw, encode
from e2e.server import eventually

CLOSING = 2     # seconds after which a connection counts as kept
PATIENCE = 40   # seconds for what should become true
TRIES = 3       # TorchServe resets connections, which may destroy the answer on its way

UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?")

NUMBERS = re.compile(r'("(?:pid|memoryUsage)": |"id": "90)(\d+)("?)')


@dataclass
class Answer:
    """status None: no answer came."""

    status: int = None
    reason: str = ""
    headers: dict = field(default_factory=dict)
    body: str = ""
    end: str = ""

    def aspects(self):
        named = {f"header {name}": value for name, value in self.headers.items()}
        return {"status": self.status, "reason": self.reason, "body": self.body, "end": self.end,
                **named}


def plain(server, text):
    """A text without what is another at every start: ids, times, ports, folders, processes."""
    for kind, port in server.ports.items():
        text = re.sub(rf"\b{port}\b", f"<{kind} port>", text)
    text = text.replace(str(server.root), "<folder>")
    for kind, key in server.keys().items():
        text = text.replace(key, f"<{kind} key>")
    text = TIME.sub("<time>", UUID.sub("<uuid>", text))
    return NUMBERS.sub(r"\g<1>0\3", text)


def read(server, connection, step):
    """The answers to a step: one, or several as one with their bodies one after the other."""
    found = []
    for _ in range(step.answers):
        try:
            found.append(connection.response(step.method))
        except (Broken, TimeoutError, ValueError):
            break
    answer = Answer()
    if found:
        last = found[-1]
        headers = {name.lower(): plain(server, value) for name, value in last.headers}
        answer = Answer(last.status, last.reason, headers,
                        plain(server, "".join(map(body_of, found))))
        if len(found) > 1 or last.interim:
            answer.status = " ".join(str(i.status) for one in found for i in (*one.interim, one))
    if step.look:
        answer.body = step.look(answer.body)
    if step.end:
        connection.sock.settimeout(CLOSING)
        try:
            answer.end = "closed" if connection.ended() else "more"
        except TimeoutError:
            answer.end = "kept"
    return answer


def body_of(response):
    """Its text, with the chunks that it came in."""
    return "<chunk>".join(p.decode("latin-1") for p in response.chunks or [response.body])


def once(server, step):
    data = step.raw
    if data is None:
        data = encode(step.method, step.target, step.body, step.headers)
    data = data.replace(b"<folder>", str(server.root).encode())
    for kind, key in server.keys().items():
        data = data.replace(b"<%s key>" % kind.encode(), key.encode())
    for _ in range(TRIES):
        with Raw(server.ports[step.on]) as connection:
            try:
                connection.send(data)
            except OSError:
                pass    # it had enough; the answer may be there
            answer = read(server, connection, step)
        if answer.status is not None or step.raw is not None:
            break
    return answer


def perform(server, step):
    """What a server makes of a step."""
    if isinstance(step, Do):
        try:
            return Answer(body=plain(server, str(step.what(server))))
        except AssertionError as e:
            return Answer(body=f"at {server.name}: {e}")
    if step.until is None:
        return once(server, step)
    last = []

    def good():
        last[:] = [once(server, step)]
        return step.until(last[0])

    with contextlib.suppress(AssertionError):   # what came instead is a difference to report
        eventually(good, step.target, PATIENCE)
    return last[0]
