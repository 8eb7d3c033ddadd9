# SPDX-License-Identifier: Apache-2.0
"""What waits: full queues, job tickets, time limits, sequences."""

import os

from compat.case import Do, cases_for, manage, post
from e2e.client import Raw, encode
from e2e.server import eventually

case = cases_for("queues")

# TorchServe's sentence, and behind it why: in what a function returns no rule looks for that.
CAUSE = {"refusal-with-cause": "body"}


# TorchServe's worker takes its next ticket only some time after its last answer has gone out.
TICKET = {"until": lambda answer: answer.status == 200}


def pending(server, model, n):
    """Waits until so many requests of a model are in its queue."""
    text = f'"pendingRequests": {n}'
    eventually(lambda: text in server.manage("GET", f"/models/{model}")[1], f"{n} wait", 20)


def behind_the_gate(model, waiting, more):
    """One request runs and others wait; then come `more`, whose statuses count, and all end."""
    def full(server):
        fifo = server.root / f"{model}-{waiting}-{more}.fifo"
        os.mkfifo(fifo)
        path = f"/predictions/{model}"
        held = [Raw(server.ports["inference"]) for _ in range(1 + waiting)]
        held[0].send(encode("POST", path, str(fifo)))
        opened = os.open(fifo, os.O_WRONLY)     # the handler has come to the gate
        for i, one in enumerate(held[1:]):
            one.send(encode("POST", path))
            pending(server, model, i + 1)
        refused = [Raw(server.ports["inference"]).request("POST", path) for _ in range(more)]
        os.close(opened)
        ended = [one.response() for one in held]
        return [(a.status, a.text) for a in (*refused, *ended)]
    return full


QUEUES = [
    case("full queue", Do(behind_the_gate("gate", 2, 3), differs=CAUSE)),
    case("queue not full", Do(behind_the_gate("gate", 1, 0))),
    case("no ticket", Do(behind_the_gate("ticket", 0, 2), differs=CAUSE)),
    case("a ticket", post("/predictions/ticket", **TICKET), post("/predictions/ticket", **TICKET)),
]


def late(server):
    """The reply of a handler that does not come to an end in time."""
    fifo = server.root / "never.fifo"
    os.mkfifo(fifo)
    answer = Raw(server.ports["inference"]).request("POST", "/predictions/hasty", str(fifo))
    return answer.status, answer.text


TIMES = [
    case("response timeout", Do(late, differs=CAUSE),
         manage("GET", "/models/hasty", until=lambda a: "READY" in a.body)),
]


def add(number, name=None, start=None, end=None, **more):
    """A request of a sequence."""
    words = {"id": name, "start": start, "end": end}
    headers = {f"ts_request_sequence_{key}": value for key, value in words.items()
               if value is not None}
    return post("/predictions/ledger", str(number), headers, **more)


SEQUENCES = [
    case("sequence", add(1, "a", "true"), add(2, "a"), add(3, "a", end="true")),
    case("sequence without a start", add(1, "b"), add(2, "b", end="true")),
    case("sequence without an id", add(5)),
]

CASES = QUEUES + TIMES + SEQUENCES
