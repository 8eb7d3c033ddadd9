# SPDX-License-Identifier: Apache-2.0
"""Replies on their way out: packed into frames, large bodies through grants, failures as error
replies.

What a handler answers is not to be trusted more than what clients send, of which it often is an
echo: whatever of it cannot be sent fails its own request, with an exception for none. A request
has one final reply; what comes behind that, from a thread that was left over, is dropped.
"""

from _thread import RLock

from sconce import frame as wire
from sconce import logs, metrics
from sconce.encode import Unsupported, encode

_FINAL = wire.REPLY_FINAL
_FINAL_ERROR = wire.REPLY_FINAL | wire.REPLY_ERROR
_reply = wire.reply


class Replies:
    """Collects reply entries; `flush` sends them in one frame. Any thread may."""

    def __init__(self, channel, memory, max_response_size):
        self._channel = channel
        self._memory = memory
        self._max = max_response_size
        self._entries = []
        self._size = wire.HEAD
        self._lock = RLock()
        self.busy_ns = 0

    def _add(self, entry):
        if self._size + len(entry) > wire.FRAME_SOFT and self._entries:
            self.flush()
        self._entries.append(entry)
        self._size += len(entry)

    def flush(self):
        with self._lock:
            updates = metrics.take()
            if updates:
                self._send_metrics(updates)
            if self._entries:
                entries, self._entries = self._entries, []
                busy_ns, self.busy_ns = self.busy_ns, 0
                self._size = wire.HEAD
                self._channel.send(wire.frame(wire.CHUNK, busy_ns, b"".join(entries),
                                              len(entries)))

    def _send_metrics(self, updates):
        payload = metrics.encode(updates)
        if len(payload) <= wire.FRAME_MAX - wire.HEAD:
            self._channel.send(wire.frame(wire.METRIC, 0, payload))
        elif len(updates) > 1:
            self._send_metrics(updates[:len(updates) // 2])
            self._send_metrics(updates[len(updates) // 2:])

    def fail(self, request, status, message):
        """An error reply: the front writes the document around the message."""
        try:
            body = str(message).encode("utf-8", "replace")
        except Exception:
            body = b""
        if len(body) > wire.INLINE_MAX:
            body = body[:wire.INLINE_MAX].decode("utf-8", "ignore").encode()
        with self._lock:
            if not request.over:
                request.over = True
                self._add(_reply(request.id, status, _FINAL_ERROR, body))

    def _refuse(self, request, error):
        """The handler has answered, with something that cannot be sent."""
        text = logs.text_of(error)
        logs.complain("The handler's answer cannot be sent%s: %s" % (logs.ids([request]), text))
        if isinstance(error, MemoryError):
            self.fail(request, 507, "Out of resources")
        elif isinstance(error, Unsupported):
            self.fail(request, 503, "Unsupported model output data type.")
        else:
            self.fail(request, 500, "The handler's answer cannot be sent: %s" % text)

    def _grant(self, request, length):
        """Memory for a large body: the grant the request came with, or a new one."""
        if length <= request.grant[1]:
            return request.grant
        self.flush()
        self._channel.send(wire.frame(wire.NEED, request.id, wire.pack_u64(length)))
        return self._channel.receive_grant(request.id)

    def put(self, request, value, processor, flags):
        """One reply, of what the handler gave for it. `processor` holds the handler's status and
        headers; see ts.context. False: it became an error reply instead, which is final, or there
        has been a final one before."""
        try:
            body = value if type(value) is bytes else encode(value)
            head = processor.reply_head()
            left = wire.REPLY_HEAD_MAX - len(head[1]) - len(head[2]) - len(head[3])
            if left < 0:
                raise ValueError("its headers have %d bytes more than fit a frame" % -left)
        except Exception as e:
            self._refuse(request, e)
            return False
        with self._lock:
            return self._put(request, body, head, flags, left)

    def _put(self, request, body, head, flags, left):
        status, phrase, content_type, headers = head
        length = len(body)
        if request.over:
            return False
        if length <= wire.INLINE_MAX and length <= left:
            request.over = bool(flags & _FINAL)
            self._add(_reply(request.id, status, flags, body, content_type, phrase, headers))
            return True
        if length > self._max:
            self.fail(request, 507, "The response has %d bytes, max_response_size allows %d."
                      % (length, self._max))
            return False
        grant = self._grant(request, length)
        if length > grant[1]:
            self.fail(request, 507, "There is no memory for a response of %d bytes now." % length)
            return False
        self._memory.write(grant, body)
        request.grant = (0, 0)
        request.over = bool(flags & _FINAL)
        self._add(wire.granted_reply(request.id, status, flags, grant[0], length, content_type,
                                     phrase, headers))
        return True

    def fits(self, requests, values):
        """Is it an answer for each request of a batch? If not, they are all failed."""
        if not isinstance(values, list):
            self.fail_all(requests, 503, "Invalid model predict output")
        elif len(values) != len(requests):
            self.fail_all(requests, 503, "number of batch response mismatched")
        else:
            return True
        return False

    def put_all(self, requests, values, processors):
        """A handler's answer to a batch."""
        if self.fits(requests, values):
            for request, value, processor in zip(requests, values, processors):
                self.put(request, value, processor, _FINAL)

    def fail_all(self, requests, status, message):
        for request in requests:
            self.fail(request, status, message)

    def raised(self, requests, error):
        """The handler raised: TorchServe's table of failures."""
        logs.complain("The handler failed for" + logs.ids(requests) if logs.request_ids else "",
                      error)
        try:
            status, message = _verdict(error)
        except Exception:     # the exception's own attributes raise
            status, message = 503, "Prediction failed"
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
