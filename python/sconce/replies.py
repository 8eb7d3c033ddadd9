# SPDX-License-Identifier: Apache-2.0
"""Replies on their way out: packed into frames, large bodies through grants, failures as error
replies.

What a handler answers is not to be trusted more than what clients send, of which it often is an
echo: whatever of it cannot be sent fails its own request, with an exception for none. A request
has one final reply; what comes behind that, from a thread that was left over, is dropped.

A large body waits for memory, and a piece of a stream for a client that is slower than its handler.
A thread of the handler waits with it. The one that runs many requests does not: what it gives is
put in a queue of the request's, up to a bound.
"""

from _thread import RLock, get_ident
from collections import deque

from sconce import frame as wire
from sconce import logs, metrics
from sconce.encode import Unsupported, encode

_FINAL = wire.REPLY_FINAL
_FINAL_ERROR = wire.REPLY_FINAL | wire.REPLY_ERROR
_CANCELLED_MAX = 4096
_INLINE_MAX = wire.INLINE_MAX
_HEAD_MAX = wire.REPLY_HEAD_MAX
_reply = wire.reply


class _Stream:
    """A request whose replies may have to wait."""

    __slots__ = ("request", "window", "asked", "waiting", "size")

    def __init__(self, request):
        self.request = request
        self.window = wire.WINDOW_BYTES    # that pieces may have before the client takes some
        self.asked = False                 # NEED was sent and not answered yet
        self.waiting = deque()             # (body, head, flags), in order
        self.size = 0                      # of their bodies


class Replies:
    """Collects reply entries; `flush` sends them in one frame. Any thread may."""

    def __init__(self, channel, memory, max_response_size):
        self._channel = channel
        self._memory = memory
        self._max = max_response_size
        self._inline = min(_INLINE_MAX, max_response_size)
        self._entries = []
        self._size = wire.HEAD
        self._lock = RLock()
        self._streams = {}     # request id → _Stream
        self.cancelled = {}    # ids of requests whose clients have left, the latest
        self.busy_ns = 0       # of batches whose last reply is still to be sent
        self.called_ns = 0     # that the handler took for the batch which is being answered
        self.hurried = None    # the thread that is never to wait for a single request

    def _add(self, entry):
        if self._size + len(entry) > wire.FRAME_SOFT and self._entries:
            self.flush()
        self._entries.append(entry)
        self._size += len(entry)

    def flush(self):
        with self._lock:
            metrics.flush(self._channel)
            if self._entries:
                entries, self._entries = self._entries, []
                busy_ns, self.busy_ns = self.busy_ns + self.called_ns, 0
                self._size = wire.HEAD
                self._channel.send(wire.frame(wire.CHUNK, busy_ns, b"".join(entries),
                                              len(entries)))

    def batch_over(self, took_ns):
        """All of a batch's replies are there; its last may have gone with a grant that it waited
        for."""
        self.called_ns = 0
        if self._entries:
            self.busy_ns += took_ns

    def fail(self, request, status, message):
        """An error reply: the front writes the document around the message."""
        try:
            body = str.encode(str(message), "utf-8", "replace")
        except Exception:
            body = b""
        if len(body) > wire.INLINE_MAX:
            body = body[:wire.INLINE_MAX].decode("utf-8", "ignore").encode()
        with self._lock:
            if not request.over:
                self._end(request, status, body)

    def _end(self, request, status, body):
        """Whatever waits is dropped: a stream that fails ends at once."""
        request.over = True
        stream = self._streams.pop(request.id, None)
        if stream is not None:
            stream.waiting.clear()
        self._add(_reply(request.id, status, _FINAL_ERROR, body))

    def _refuse(self, request, error):
        """The handler has answered, with something that cannot be sent."""
        text = logs.text_of(error)
        logs.complain("The handler's answer cannot be sent: %s" % text, None, [request])
        if isinstance(error, MemoryError):
            self.fail(request, 507, "Out of resources")
        elif isinstance(error, Unsupported):
            self.fail(request, 503, "Unsupported model output data type.")
        else:
            self.fail(request, 500, "The handler's answer cannot be sent: %s" % text)

    def put(self, request, value, processor, flags):
        """One reply, of what the handler gave for it; an error reply, which is final, if that
        cannot be sent. `processor` holds the handler's status and headers; see ts.context."""
        try:
            body = value if type(value) is bytes else encode(value)
            length = len(body)
            head = status, phrase, content_type, headers = processor.reply_head()
            size = len(phrase) + len(content_type) + len(headers)
            if size > _HEAD_MAX:
                raise ValueError("its headers have %d bytes more than fit a frame"
                                 % (size - _HEAD_MAX))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as e:
            self._refuse(request, e)
            return
        with self._lock:
            if request.over:
                return
            if (length <= self._inline and flags & _FINAL and length + size <= _HEAD_MAX
                    and request.id not in self._streams):
                request.over = True
                self._add(_reply(request.id, status, flags, body, content_type, phrase, headers))
                return
            stream = self._append(request, body, head, flags)
        if stream is not None:
            self._channel.wait(lambda: not stream.waiting)

    def _append(self, request, body, head, flags):
        """Returns the stream if the caller has to wait until nothing of it waits."""
        length = len(body)
        if self._channel.mute or (not flags & _FINAL and request.id in self.cancelled):
            request.over = bool(flags & _FINAL)
            return None
        if length > self._max:
            self.fail(request, 507, "The response has %d bytes, max_response_size allows %d."
                      % (length, self._max))
            return None
        stream = self._streams.get(request.id)
        if stream is None:
            stream = self._streams[request.id] = _Stream(request)
        request.over = bool(flags & _FINAL)
        stream.waiting.append((body, head, flags))
        stream.size += length
        self._advance(stream)
        if not stream.waiting:
            return None
        if get_ident() != self.hurried:
            return stream
        if len(stream.waiting) > 1 and stream.size > self._max:
            self._end(request, 507, b"The client takes its stream too slowly.")
        elif type(body) is bytearray:     # which the handler may use again
            stream.waiting[-1] = bytes(body), head, flags
        return None

    def _advance(self, stream):
        """Sends what may be sent."""
        request = stream.request
        while stream.waiting:
            body, (status, phrase, content_type, headers), flags = stream.waiting[0]
            length = len(body)
            if not flags & _FINAL and stream.window <= 0:
                return
            if length <= _INLINE_MAX and (
                    length + len(phrase) + len(content_type) + len(headers) <= _HEAD_MAX):
                entry = _reply(request.id, status, flags, body, content_type, phrase, headers)
            elif length <= request.grant[1]:
                entry = wire.granted_reply(request.id, status, flags, request.grant[0], length,
                                           content_type, phrase, headers)
                self._memory.write(request.grant, body)
                request.grant = (0, 0)
            else:
                self._ask(stream, length)
                return
            self._add(entry)
            stream.waiting.popleft()
            stream.size -= length
            if flags & _FINAL:
                del self._streams[request.id]
            else:
                stream.window -= length

    def _ask(self, stream, length):
        if not stream.asked:
            stream.asked = True
            # The front takes back what there was, whatever becomes of what waits now.
            stream.request.grant = (0, 0)
            self.flush()
            self._channel.send(wire.frame(wire.NEED, stream.request.id, wire.pack_u64(length)))

    # What the front says of a request.

    def granted(self, ident, grant):
        """GRANT: (offset, length) for the reply that waits; no length: there is none."""
        with self._lock:
            stream = self._streams.get(ident)
            if stream is None:
                return
            stream.asked = False
            stream.request.grant = grant
            length = len(stream.waiting[0][0]) if stream.waiting else 0
            if length > grant[1]:
                self._end(stream.request, 507,
                          b"There is no memory for a response of %d bytes now." % length)
            self._advance(stream)
            self.flush()

    def opened(self, ident, length):
        """WINDOW: the client has taken so many bytes of its stream."""
        with self._lock:
            stream = self._streams.get(ident)
            if stream is not None:
                stream.window += length
                self._advance(stream)
                self.flush()

    def left(self, ident):
        """CANCEL: nobody wants the rest. Of ids that are in no batch yet the oldest are forgotten
        first: most are over."""
        with self._lock:
            self.cancelled[ident] = True
            if len(self.cancelled) > _CANCELLED_MAX:
                del self.cancelled[next(iter(self.cancelled))]
            stream = self._streams.get(ident)
            if stream is None or not stream.waiting:
                return
            if stream.request.over:
                self._end(stream.request, 499, b"The client has left.")
                self.flush()
            else:
                stream.waiting.clear()
                stream.size = 0

    def leave(self):
        """In a process that was forked off: a thread that had the lock is not there, and what is
        collected is the worker's to send."""
        self._lock = RLock()
        self._entries = []

    def waiting(self):
        """Is there anything that is still to be sent?"""
        with self._lock:
            return any(stream.waiting for stream in self._streams.values())

    def each(self, requests, values):
        """A handler's answers to a batch as a list that nobody else has; None if it is not one for
        each request, which fails them all."""
        if not isinstance(values, list):
            logs.complain("model: %s, Invalid return type: %s. A list with an element for each of "
                          "%d request(s) is expected." % (logs.model, type(values), len(requests)),
                          None, requests)
            self.fail_all(requests, 503, "Invalid model predict output")
            return None
        try:
            answers = list(values)    # of its own kind it may have others than its length says
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as e:
            self.raised(requests, e)
            return None
        if len(answers) == len(requests):
            return answers
        logs.complain("model: %s, number of batch response mismatched, expect: %d, got: %d."
                      % (logs.model, len(requests), len(answers)), None, requests)
        self.fail_all(requests, 503, "number of batch response mismatched")
        return None

    def put_all(self, requests, values, processors):
        """A handler's answer to a batch."""
        answers = self.each(requests, values)
        if answers is not None:
            for request, value, processor in zip(requests, answers, processors):
                self.put(request, value, processor, _FINAL)

    def fail_all(self, requests, status, message):
        for request in requests:
            self.fail(request, status, message)

    def raised(self, requests, error):
        """The handler raised: TorchServe's table of failures. What it tells its client, of which
        anybody can send many, is a line."""
        try:
            status, message = _verdict(error)
        except Exception:     # the exception's own attributes raise
            status, message = 503, "Prediction failed"
        if status < 500:
            logs.complain("Prediction error: " + logs.cause_of(error, logs.folder), None, requests)
        else:
            named = "The handler failed for" if logs.request_ids else ""
            logs.complain("The handler failed" if logs.records else named, error, requests)
        logs.forget(error)
        self.fail_all(requests, status, message)


def _verdict(error):
    # By name: handlers bring copies of the class, too.
    if any(c.__name__ == "PredictionException" for c in type(error).__mro__):
        code = getattr(error, "error_code", 500)
        code = code if isinstance(code, int) and 200 <= code <= 599 else 500
        message = getattr(error, "message", None)
        if message is None:
            message = logs.text_of(error) or "Prediction failed"
        return code, str(message)
    if isinstance(error, MemoryError) or "CUDA" in logs.text_of(error):
        return 507, "Out of resources"
    return 503, "Prediction failed"
