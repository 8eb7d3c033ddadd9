# SPDX-License-Identifier: Apache-2.0
"""The loop of a worker with an ordinary handler: one batch at a time."""

import os
import sys
from time import monotonic_ns

from sconce import frame as wire
from sconce import logs, tracing
from sconce.channel import Closed
from sconce.decode import make_decoder
from sconce.replies import Replies

# Replies wait for the rest of their frame only while handlers are this short.
_HOLD_NS = 100_000
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

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
        # What is lost with the process is not run again then, though it had come to its end.
        self.hold_ns = 0 if load.get("at_most_once") else _HOLD_NS
        self.fields = make_decoder(memory, load.get("decode_input_request", True))
        self.replies = Replies(channel, memory, load["max_response_size"])
        self.cancelled = self.replies.cancelled
        self.running = ()      # the requests of the batch the handler has now
        self.own = ()          # and their processors
        channel.on_flow = self._flow

    def begin(self, requests):
        """The handler's next batch."""
        self.own = self.context.begin_batch(requests)
        self.running = logs.running = requests

    def end(self):
        self.running = self.own = logs.running = ()

    def housekeeping(self, got):
        """Handles any frame but RUN and those of _flow(). False: it is time to stop."""
        kind, _count, arg, data, size, fds = got
        if kind == wire.SEGMENT:
            length = wire.read_u64(data, wire.HEAD, size)
            if length and len(fds) == 1:
                self.memory.add_segment(arg, length, fds[0])
            else:
                self.memory.drop_segment(arg)
        elif kind == wire.TUNE:
            tune(arg)
        elif kind == wire.SEQUENCE_OVER:
            self._sequence_over(str(data[wire.HEAD:size], "utf-8", "replace"))
        elif kind == wire.STOP:
            return False
        return True

    def _sequence_over(self, ident):
        """Calls the handler's function, which answers nobody: what it raises is only told."""
        try:
            self.context.sequence_over(ident)
        except Exception as e:
            logs.complain("The handler failed at the end of sequence %s" % ident, e)
            logs.forget(e)

    def _flow(self, got):
        """What decides whether replies are sent, whichever thread hears of it."""
        kind, _count, arg, data, size, _ = got
        if kind == wire.CANCEL:
            self.replies.left(arg)
        elif kind == wire.WINDOW:
            self.replies.opened(arg, wire.read_u64(data, wire.HEAD, size))
        else:
            self.replies.granted(arg, (wire.read_u64(data, wire.HEAD, size),
                                       wire.read_u64(data, wire.HEAD + 8, size)))

    def send_intermediate(self, values, ids):
        """A piece of a streamed answer for each of the requests with these ids that the handler
        still has."""
        stream(self.replies, self.running, self.context, self.own, values, ids)

    def is_cancelled(self, ident):
        """Has the client of this running request left?"""
        self.channel.poll()
        return any(r.ident == ident and r.id in self.cancelled for r in self.running)


def processors(context, own):
    """What the handler has left of the processors of its batch; those that came with it where it
    has made that shorter."""
    now = context.request_processor
    if type(now) is list and len(now) == len(own):
        return now
    try:
        now = list(now)[:len(own)]
    except Exception:
        return own
    return now + list(own[len(now):])


def stream(replies, requests, context, own, values, ids):
    """Sends values[index] to the request whose id is ids[index]. What belongs to none of these
    requests is for one that is over, and dropped."""
    known = {r.ident: (r, processor) for r, processor in zip(requests, own)}
    current = context.request_ids
    if ids is None:
        ids = current or {}
    for index, ident in ids.items():
        if ident not in known:
            continue
        request, processor = known[ident]
        if current and current.get(index) == ident and index < len(context.request_processor):
            processor = context.request_processor[index]
        try:
            value = values[index]
        except Exception:
            logs.complain("model: %s, number of batch response mismatched: there is no piece %s "
                          "for request %s" % (logs.model, index, ident),
                          None, [request] if logs.records else None)
            replies.fail(request, 503, "number of batch response mismatched")
        else:
            replies.put(request, value, processor, 0)
    replies.flush()


def _tell_libraries(threads):
    """Those that are imported later look there. Other models may have come since this process was
    started; another number than ours is somebody else's wish."""
    ours = os.environ.get("OMP_NUM_THREADS")
    if ours and (not ours.isdigit() or (tuned and ours != str(tuned))):
        return
    for name in THREAD_VARIABLES:
        if os.environ.get(name) in (None, ours):
            os.environ[name] = str(threads)


def tune(threads):
    """Uses this many threads from now on, unless the handler has chosen for itself."""
    global tuned
    torch = sys.modules.get("torch")
    now = getattr(torch, "get_num_threads", None)
    if threads <= 0 or (torch and not now):      # a thread of the handler's is importing it
        return
    if now and tuned and now() != tuned:
        return
    _tell_libraries(threads)
    if now:
        torch.set_num_threads(threads)
    tuned = threads


def send_intermediate(context, values, ids):
    """For ts.handler_utils.utils.send_intermediate_predict_response()."""
    target = getattr(context, "session", None) or session
    if target is None:
        raise RuntimeError("there is no server to stream to")
    target.send_intermediate(values, ids)


def answer(s, requests, values, context, own):
    """Sends what the handler has returned. Only what the channel raises gets out."""
    try:
        s.replies.put_all(requests, values, processors(context, own))
    except (Closed, OSError, wire.FrameError):
        raise
    except Exception as e:
        s.replies.raised(requests, e)


def run_batch(s, number, requests, trace=None):
    """One call of the handler; its replies are collected."""
    s.memory.begin_batch(number)
    began = monotonic_ns()
    try:
        rows = [s.fields(r) for r in requests]
        s.begin(requests)
        values = trace.call(s.entry, rows, s.context) if trace else s.entry(rows, s.context)
    except (SystemExit, KeyboardInterrupt):
        s.replies.flush()
        raise
    except BaseException as e:
        if trace:
            trace.tell(s.channel, number)
        s.replies.raised(requests, e)
    else:
        s.replies.called_ns = monotonic_ns() - began
        if trace:
            trace.tell(s.channel, number)
        answer(s, requests, values, s.context, s.own)
    s.end()
    took = monotonic_ns() - began
    s.replies.batch_over(took)
    return took


def run_frame(s, got):
    """The batches of a RUN frame, in order."""
    _, count, number, data, size, _ = got
    batch = []
    index = flags = 0
    for request in list(wire.read_requests(data, size, count)):
        if request.batch != index:
            _run_and_hold(s, number + index, batch, flags)
            batch = []
            index = request.batch
            flags = 0
        batch.append(request)
        flags |= request.flags
    run_batch(s, number + index, batch, trace_of(flags))
    s.replies.flush()


def trace_of(flags):
    """What measures a batch of these flags; None: nobody asks for that."""
    return tracing.Trace() if flags & wire.RUN_TRACE else None


def _run_and_hold(s, number, batch, flags):
    if run_batch(s, number, batch, trace_of(flags)) > s.hold_ns:
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
    except Closed:
        pass
