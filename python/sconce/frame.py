# SPDX-License-Identifier: Apache-2.0
"""Frames of the worker protocol: bytes to tuples and back.

The other side is src/wire/frame.c; docs/protocol.md has the layout. Everything that is read is
checked: what is malformed raises FrameError. All integers are little-endian.
"""

from struct import Struct

PROTOCOL = 1
FRAME_MAX = 65536
FRAME_SOFT = 16384
INLINE_MAX = 8192
HEAD = 16
PHASES_MAX = 64
PHASE_NAME_MAX = 64
WINDOW_BYTES = 1 << 20    # of a streamed answer, that its client has not taken yet

(HELLO, LOADED, CHUNK, NEED, METRIC, LOG, CALL, RETAIN, RELEASE, SPAWNED, TRYING,
 TRACE) = range(1, 13)
(LOAD, RUN, GRANT, CANCEL, ANSWER, SEGMENT, TUNE, STOP, SPAWN, SEQUENCE_OVER, PEER,
 WINDOW) = range(33, 45)

(RUN_EXPLAIN, RUN_DESCRIBE, RUN_SEQUENCE_START, RUN_SEQUENCE_END, RUN_CONTINUE, RUN_RETRY,
 RUN_OWN_IDENT, RUN_TRACE) = (1, 2, 4, 8, 16, 32, 64, 128)
RUN_ALONE = RUN_EXPLAIN | RUN_DESCRIBE   # never beside requests of continuous batching
REPLY_FINAL, REPLY_ERROR, REPLY_GRANTED = 1, 2, 4
PART_BODY, PART_FIELD, PART_FILE, PART_TENSOR = range(4)

_HEAD = Struct("<BBHIQ")
_REQUEST = Struct("<IHHQQQQHHI36sI")
_PART = Struct("<IHHQQBBBBI")
_PLACE = Struct("<I4xQQ")
_REPLY = Struct("<IHHQQQHHI")
_PHASE = Struct("<IHHQQ")
_PAIR = Struct("<HH")
_U32 = Struct("<I")
_U64 = Struct("<Q")
_REQUEST_SIZE = _REQUEST.size
_PART_SIZE = _PART.size
_REPLY_SIZE = _REPLY.size
_PADDING = tuple(b"\0" * n for n in range(8))
_CONTROLS = bytes(c for c in range(32) if c != 9) + b"\x7f"
_TOKEN = (b"!#$%&'*+-.^_`|~0123456789"
          b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

# What the head of a reply may have in all: the frame has nothing else then.
REPLY_HEAD_MAX = FRAME_MAX - HEAD - _REPLY_SIZE - 7

assert (_REQUEST_SIZE, _PART_SIZE, _REPLY_SIZE) == (88, 32, 40)


class FrameError(ValueError):
    """The front sent something that is not a frame: the two sides do not belong together."""


class Request:
    """One request of a RUN frame. `parts`: (kind, name, type, segment, offset, length, dtype,
    dims). `uuid`: what clients and logs call it; `ident`: what handlers do, who may keep what they
    know by it, so it is never another request's. `over`: it has had its last reply."""

    __slots__ = ("batch", "flags", "id", "deadline_ns", "grant", "uuid", "ident", "parts",
                 "headers", "over")

    def read_headers(self):
        """What handlers see as headers: an entry per field with its content type, then the
        request's."""
        fields = {part[1]: {"content-type": part[2]} for part in self.parts}
        fields.update(read_headers(self.headers))
        return fields


def read_head(data, size):
    """Returns (type, count, arg) of the frame in data[:size]."""
    if size < HEAD or size > FRAME_MAX:
        raise FrameError("a frame of %d bytes" % size)
    kind, zero, count, length, arg = _HEAD.unpack_from(data, 0)
    if zero or length != size or not (1 <= kind <= TRACE or LOAD <= kind <= WINDOW):
        raise FrameError("a frame with a bad head")
    return kind, count, arg


def read_u64(data, offset, size):
    if offset + 8 > size:
        raise FrameError("a frame that ends early")
    return _U64.unpack_from(data, offset)[0]


def read_requests(data, size, count):
    """Yields the `count` Request entries of a RUN frame in data[:size] (bytes-like)."""
    offset = HEAD
    for _ in range(count):
        if offset + _REQUEST_SIZE > size:
            raise FrameError("a frame that ends early")
        (length, batch, flags, ident, deadline, grant_offset, grant_length, n_parts, _zero,
         headers_length, uuid, texts_length) = _REQUEST.unpack_from(data, offset)
        records = offset + _REQUEST_SIZE
        text = records + n_parts * _PART_SIZE
        headers = text + texts_length
        end = headers + headers_length
        if length % 8 or offset + length > size or not 0 <= offset + length - end < 8:
            raise FrameError("a request entry with bad lengths")
        r = Request()
        r.batch = batch
        r.flags = flags
        r.id = ident
        r.deadline_ns = deadline
        r.grant = (grant_offset, grant_length)
        r.uuid = uuid.rstrip(b"\0").decode("ascii", "replace")
        r.ident = "%s.%d" % (r.uuid, ident) if flags & RUN_OWN_IDENT else r.uuid
        r.headers = bytes(data[headers:end])
        r.parts = _read_parts(data, records, text, headers, n_parts)
        r.over = False
        yield r
        offset += length
    if offset != size:
        raise FrameError("bytes behind the last request")


def _read_parts(data, records, text, limit, count):
    parts = []
    for at in range(records, records + count * _PART_SIZE, _PART_SIZE):
        (segment, name_length, type_length, offset, length, kind, dtype, ndim, _zero,
         _zero32) = _PART.unpack_from(data, at)
        name_end = text + name_length
        type_end = name_end + type_length
        dims_end = type_end + 8 * ndim
        if dims_end > limit or kind > PART_TENSOR or ndim > 16:
            raise FrameError("a part with bad lengths")
        name = str(data[text:name_end], "utf-8", "replace")
        media = str(data[name_end:type_end], "utf-8", "replace") if type_length else ""
        dims = Struct("<%dq" % ndim).unpack_from(data, type_end) if ndim else ()
        parts.append((kind, name, media, segment, offset, length, dtype, dims))
        text = dims_end
    return parts


def move_parts(frame, count, move):
    """Changes where the parts of a RUN frame (a bytearray) lie: move(segment, offset, length)
    returns their new segment and offset."""
    at = HEAD
    for _ in range(count):
        entry = _REQUEST.unpack_from(frame, at)
        records = at + _REQUEST_SIZE
        for part in range(records, records + entry[7] * _PART_SIZE, _PART_SIZE):
            segment, offset = move(*_PLACE.unpack_from(frame, part))
            _U32.pack_into(frame, part, segment)
            _U64.pack_into(frame, part + 8, offset)
        at += entry[0]


def read_headers(block):
    """A header block as a dict: later entries of the same name win, as in TorchServe."""
    headers = {}
    offset = 0
    size = len(block)
    while offset + 4 <= size:
        n, v = _PAIR.unpack_from(block, offset)
        name_end = offset + 4 + n
        if name_end + v > size:
            raise FrameError("a header that ends early")
        headers[block[offset + 4:name_end].decode("utf-8", "surrogateescape")] = (
            block[name_end:name_end + v].decode("utf-8", "surrogateescape"))
        offset = name_end + v
    if offset != size:
        raise FrameError("bytes behind the last header")
    return headers


def header_text(text, what):
    """Text of a reply's head as bytes; ValueError if HTTP does not allow it. Bytes of a request's
    header that are not UTF-8 (see read_headers) come out as they came in. What a class of text
    makes of itself is not believed."""
    data = str.encode(text, "utf-8", "surrogateescape")
    if len(data) > 65535:
        raise ValueError("%.64r has %d bytes" % (what, len(data)))
    if len(data.translate(None, _CONTROLS)) != len(data):
        raise ValueError("%.64r has a line end or another control character" % what)
    return data


def write_headers(pairs):
    """A header block from (name, value) pairs of str; ValueError if HTTP does not allow them."""
    block = []
    for name, value in pairs:
        n = str.encode(name, "utf-8", "surrogateescape")
        if not n or len(n) > 65535 or n.translate(None, _TOKEN):
            raise ValueError("%.64r is no name of a header" % name)
        v = header_text(value, name)
        block.append(_PAIR.pack(len(n), len(v)))
        block.append(n)
        block.append(v)
    return b"".join(block)


def reply(ident, status, flags, body, content_type=b"", phrase=b"", headers=b""):
    """A reply entry with its body inline."""
    length = len(body)
    size = _REPLY_SIZE + len(content_type) + len(phrase) + len(headers) + length
    padded = (size + 7) & ~7
    return b"".join((
        _REPLY.pack(padded, status, flags, ident, 0, length, len(content_type), len(phrase),
                    len(headers)),
        content_type, phrase, headers, body, _PADDING[padded - size]))


def granted_reply(ident, status, flags, offset, length, content_type=b"", phrase=b"", headers=b""):
    """A reply entry whose body lies in the outbound memory."""
    size = _REPLY_SIZE + len(content_type) + len(phrase) + len(headers)
    padded = (size + 7) & ~7
    return b"".join((
        _REPLY.pack(padded, status, flags | REPLY_GRANTED, ident, offset, length,
                    len(content_type), len(phrase), len(headers)),
        content_type, phrase, headers, _PADDING[padded - size]))


def phase(parent, name, begin_ns, end_ns):
    """An entry of a TRACE frame. `parent`: the entry that it is a part of, from 1 on; 0: the
    batch."""
    name = name.encode("ascii", "replace")[:PHASE_NAME_MAX]
    name = bytes(c if 32 < c < 127 else 63 for c in name)
    size = _PHASE.size + len(name)
    padded = (size + 7) & ~7
    return b"".join((_PHASE.pack(padded, parent, len(name), begin_ns, end_ns), name,
                     _PADDING[padded - size]))


def frame(kind, arg=0, payload=b"", count=0):
    """A whole frame."""
    size = HEAD + len(payload)
    if size > FRAME_MAX:
        raise ValueError("a frame of %d bytes is too long" % size)
    return _HEAD.pack(kind, 0, count, size, arg) + payload


def pack_u64(value):
    return _U64.pack(value)


def store_u64(buffer, value):
    """Stores a sequence number in the status page."""
    _U64.pack_into(buffer, 0, value)
