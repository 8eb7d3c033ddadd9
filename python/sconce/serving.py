# SPDX-License-Identifier: Apache-2.0
"""The loop of a worker with an ordinary handler: one batch at a time."""

import sys
from time import monotonic_ns

from sconce import frame as wire
from sconce.channel import Closed
from sconce.decode import make_decoder
from sconce.replies import Replies

# Replies wait for the rest of their frame only while handlers are this short.
_HOLD_NS = 100_000

tuned = 0        # threads, as the front said last
session = None   # the one session of this process, for handlers that stream


class Session:
    """What a loaded worker is: its channel, memory, handler and context."""

    def __init__(self, channel, memory, load, entry, context):
        self.channel = channel
        self.memory = memory
        self.entry = entry
        self.context = context
        self.batch_size = load["batch_size"]
        self.fields = make_decoder(memory, load.get("decode_input_request", True))
        self.replies = Replies(channel, memory, load["max_response_size"])
        self.cancelled = set()
        self.running = []      # the requests of the batch the handler has now

    def housekeeping(self, got):
        """Handles any frame but RUN. False: it is time to stop."""
        kind, _count, arg, data, size, fds = got
        if kind == wire.SEGMENT:
            length = wire.read_u64(data, wire.HEAD, size)
            if length and len(fds) == 1:
                self.memory.add_segment(arg, length, fds[0])
            else:
                self.memory.drop_segment(arg)
        elif kind == wire.CANCEL:
            self.cancelled.add(arg)
        elif kind == wire.TUNE:
            tune(arg)
        elif kind == wire.SEQUENCE_OVER:
            self.context.sequence_over(str(data[wire.HEAD:size], "utf-8", "replace"))
        elif kind == wire.STOP:
            return False
        return True

    def send_intermediate(self, values):
        """A piece of a streamed answer for every request of the running batch."""
        self.replies.put_all(self.running, values, self.context.request_processor, 0)
        self.replies.flush()

    def is_cancelled(self, ident):
        """Has the client of this running request left?"""
        self.cancelled.update(self.channel.take(wire.CANCEL))
        return any(r.uuid == ident and r.id in self.cancelled for r in self.running)


def tune(threads):
    """Uses this many threads from now on, unless the handler has chosen for itself.

    A torch that is not there yet will find the number in its environment."""
    global tuned
    torch = sys.modules.get("torch")
    if threads <= 0 or (torch and tuned and torch.get_num_threads() != tuned):
        return
    if torch:
        torch.set_num_threads(threads)
    tuned = threads


def send_intermediate(context, values):
    """For ts.handler_utils.utils.send_intermediate_predict_response()."""
    target = getattr(context, "session", None) or session
    if target is None:
        raise RuntimeError("there is no server to stream to")
    target.send_intermediate(values)


def run_batch(s, number, requests):
    """One call of the handler; its replies are collected."""
    context = s.context
    s.memory.begin_batch(number)
    began = monotonic_ns()
    try:
        rows = [s.fields(r) for r in requests]
        context.begin_batch(requests)
        s.running = requests
        values = s.entry(rows, context)
    except Exception as e:
        s.replies.raised(requests, e)
    except SystemExit:
        s.replies.flush()
        raise
    else:
        s.replies.put_all(requests, values, context.request_processor)
    s.running = []
    took = monotonic_ns() - began
    s.replies.busy_ns += took
    return took


def run_frame(s, got):
    """The batches of a RUN frame, in order."""
    _, count, number, data, size, _ = got
    batch = []
    index = 0
    for request in list(wire.read_requests(data, size, count)):
        if request.batch != index:
            _run_and_hold(s, number + index, batch)
            batch = []
            index = request.batch
        batch.append(request)
    run_batch(s, number + index, batch)
    s.replies.flush()


def _run_and_hold(s, number, batch):
    if run_batch(s, number, batch) > _HOLD_NS:
        s.replies.flush()


def serve(s):
    """Runs until the front says STOP or is gone."""
    global session
    session = s
    receive = s.channel.receive
    try:
        while True:
            got = receive()
            if got[0] == wire.RUN:
                run_frame(s, got)
            elif not s.housekeeping(got):
                break
            if len(s.cancelled) > 4096:
                s.cancelled.clear()
    except Closed:
        pass
