# SPDX-License-Identifier: Apache-2.0
"""Replies on their way out: packed into frames, large bodies through grants, failures as error
replies."""

import json
import sys
import traceback

from sconce import frame as wire
from sconce import logs, metrics
from sconce.encode import Unsupported, encode

_FINAL = wire.REPLY_FINAL
_FINAL_ERROR = wire.REPLY_FINAL | wire.REPLY_ERROR
_reply = wire.reply


class Replies:
    """Collects reply entries; `flush` sends them in one frame."""

    def __init__(self, channel, memory, max_response_size):
        self._channel = channel
        self._memory = memory
        self._max = max_response_size
        self._entries = []
        self._size = wire.HEAD
        self.busy_ns = 0

    def pending(self):
        return bool(self._entries)

    def _add(self, entry):
        if self._size + len(entry) > wire.FRAME_SOFT and self._entries:
            self.flush()
        self._entries.append(entry)
        self._size += len(entry)

    def flush(self):
        updates = metrics.take()
        if updates:
            self._send_metrics(updates)
        if self._entries:
            self._channel.send(wire.frame(wire.CHUNK, self.busy_ns, b"".join(self._entries),
                                          len(self._entries)))
            self._entries = []
            self._size = wire.HEAD
            self.busy_ns = 0

    def _send_metrics(self, updates):
        payload = json.dumps(updates).encode()
        if len(payload) <= wire.FRAME_MAX - wire.HEAD:
            self._channel.send(wire.frame(wire.METRIC, 0, payload))
        elif len(updates) > 1:
            self._send_metrics(updates[:len(updates) // 2])
            self._send_metrics(updates[len(updates) // 2:])

    def fail(self, request, status, message):
        """An error reply: the front writes the document around the message."""
        body = str(message).encode("utf-8", "replace")[:wire.INLINE_MAX]
        self._add(_reply(request.id, status, _FINAL_ERROR, body))

    def _grant(self, request, length):
        """Memory for a large body: the grant the request came with, or a new one."""
        if length <= request.grant[1]:
            return request.grant
        self.flush()
        self._channel.send(wire.frame(wire.NEED, request.id, wire.pack_u64(length)))
        _, _, _, data, size, _ = self._channel.receive_kind(wire.GRANT, request.id)
        return wire.read_u64(data, wire.HEAD, size), wire.read_u64(data, wire.HEAD + 8, size)

    def put(self, request, body, processor, flags):
        """One reply. `processor` holds the handler's status and headers; see ts.context. False:
        it became an error reply instead, which is final."""
        try:
            status, phrase, content_type, headers = processor.reply_head()
        except ValueError as e:
            print("The handler's response headers cannot be sent: %s" % e, file=sys.stderr)
            self.fail(request, 503, "Unsupported model output data type.")
            return False
        length = len(body)
        if length <= wire.INLINE_MAX:
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
        self._add(wire.granted_reply(request.id, status, flags, grant[0], length, content_type,
                                     phrase, headers))
        return True

    def bodies(self, requests, values):
        """The bytes of a handler's answer to a batch; None: all its requests were failed."""
        if not isinstance(values, list):
            self.fail_all(requests, 503, "Invalid model predict output")
            return None
        if len(values) != len(requests):
            self.fail_all(requests, 503, "number of batch response mismatched")
            return None
        try:
            return [value if type(value) is bytes else encode(value) for value in values]
        except Unsupported as e:
            print("The handler's output cannot be sent: %s" % e, file=sys.stderr)
            self.fail_all(requests, 503, "Unsupported model output data type.")
            return None

    def put_all(self, requests, values, processors, flags=_FINAL):
        """A handler's answer to a batch."""
        bodies = self.bodies(requests, values)
        if bodies is not None:
            for request, body, processor in zip(requests, bodies, processors):
                self.put(request, body, processor, flags)

    def fail_all(self, requests, status, message):
        for request in requests:
            self.fail(request, status, message)

    def raised(self, requests, error):
        """The handler raised: TorchServe's table of failures."""
        if logs.request_ids:
            print("The handler failed for" + logs.ids(requests), file=sys.stderr)
        traceback.print_exception(type(error), error, error.__traceback__)
        if isinstance(error, MemoryError) or "CUDA" in str(error):
            self.fail_all(requests, 507, "Out of resources")
        elif type(error).__name__ == "PredictionException" and hasattr(error, "error_code"):
            code = error.error_code
            code = code if isinstance(code, int) and 100 <= code <= 599 else 500
            self.fail_all(requests, code, getattr(error, "message", str(error)))
        else:
            self.fail_all(requests, 503, "Prediction failed")
