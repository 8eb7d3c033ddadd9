# SPDX-License-Identifier: Apache-2.0
"""Pictures that only Pillow reads, for the native worker: a process that it starts when it first
needs one. It is handed the bytes of a file and gives back pixels, one picture after the other.

Standard input is a socket. Numbers are little-endian; what worker/pillow.c has is the other side.
"""

import faulthandler
import io
import os
import select
import socket
import struct
import sys
import threading

REQUEST = struct.Struct("<IIQQ")    # seconds, mode that is wanted, most pixels, bytes that follow
REPLY = struct.Struct("<8IQ")       # status, mode, size, orientation, flags, key, 0, bytes
READY, BAD, MEMORY, LACKS = range(4)
# As image/image.h numbers them.
MODES = ("1", "L", "P", "I;16", "LA", "RGB", "RGBA", "CMYK", "LAB", "F")
OWN = MODES[-2:]    # which Pillow converts better
# The same bytes, of which nothing is known but how many channels there are.
ALIKE = {"YCbCr": "RGB", "HSV": "RGB", "RGBX": "CMYK", "RGBa": "CMYK"}
PALETTE, ALPHA, KEYED = 1, 2, 4
ORIENTATION = 0x0112
WORDS_MAX = 200     # characters


def orientation(picture):
    try:
        value = picture.getexif().get(ORIENTATION, 1)
    except Exception:                               # of what is no EXIF; nobody may want to know
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def palette(picture):
    """RGBA of all 256 colours, as Pillow would convert them."""
    ramp = picture.crop((0, 0, 256, 1))
    ramp.putdata(range(256))
    return ramp.convert("RGBA").tobytes()


def key(picture):
    """The one colour that is transparent, or None."""
    value = picture.info.get("transparency")
    if picture.mode in ("1", "L") and isinstance(value, int):
        value = (value, value, value)
    if picture.mode not in ("1", "L", "RGB") or not isinstance(value, tuple) or len(value) != 3:
        return None
    return bytes(v & 255 for v in value)


def reply(picture, wanted, turned):
    """[head, bytes …] of a picture."""
    mode = ALIKE.get(picture.mode, picture.mode)
    if (picture.mode not in MODES or picture.mode in OWN) and wanted < len(MODES):
        picture = picture.convert(MODES[wanted])
        mode = picture.mode
    if mode not in MODES:
        raise ValueError("pictures of mode %s are not known here: convert them first"
                         % picture.mode)
    flags, extra, keyed = 0, b"", key(picture)
    if mode == "P":
        extra = palette(picture)
        flags = PALETTE | (ALPHA if any(a != 255 for a in extra[3::4]) else 0)
    pixels = (picture.convert("L") if mode == "1" else picture).tobytes()
    head = REPLY.pack(READY, MODES.index(mode), *picture.size, turned,
                      flags | (KEYED if keyed else 0),
                      int.from_bytes(keyed or b"", "little"), 0, len(extra) + len(pixels))
    return [head, extra, pixels]


def decode(Image, data, wanted, most):
    Image.MAX_IMAGE_PIXELS = most // 2              # twice as many are an error
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return reply(picture, wanted, orientation(picture))


def refusal(status, words):
    text = " ".join(str(words).split())[:WORDS_MAX].encode("utf-8", "replace")
    return [REPLY.pack(status, 0, 0, 0, 0, 0, 0, 0, len(text)), text]


def answer(Image, data, wanted, most):
    try:
        return decode(Image, data, wanted, most)
    except Image.UnidentifiedImageError:
        return refusal(BAD, "this is no picture that Pillow knows")
    except MemoryError:
        return refusal(MEMORY, "there is no memory for the picture")
    except Exception as e:                          # of any kind, from any of its plug-ins
        return refusal(MEMORY if "CUDA" in str(e) else BAD, e or type(e).__name__)


# ---- the socket ----

def read(sock, n):
    """Exactly so many bytes; None: the worker has gone."""
    data = bytearray(n)
    rest = memoryview(data)
    while rest:
        got = sock.recv_into(rest)
        if not got:
            return None
        rest = rest[got:]
    return data


def send(sock, pieces):
    for piece in pieces:
        sock.sendall(piece)


def leave_with_the_worker(sock):
    """Also in the middle of a picture, for which nobody waits any more."""
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLHUP)
    poll.poll()
    os._exit(0)


def serve(sock, Image):
    while True:
        head = read(sock, REQUEST.size)
        if head is None:
            return
        seconds, wanted, most, n = REQUEST.unpack(head)
        # Ends the process even where a decoder never gives the interpreter back.
        faulthandler.dump_traceback_later(seconds, exit=True)
        data = read(sock, n)
        if data is None:
            return
        send(sock, answer(Image, data, wanted, most))
        faulthandler.cancel_dump_traceback_later()


def main():
    sock = socket.socket(fileno=0)
    sock.settimeout(None)       # whatever a sitecustomize has given to all
    threading.Thread(target=leave_with_the_worker, args=(sock,), daemon=True).start()
    try:
        from PIL import Image
        hello = refusal(READY, "")
    except ImportError as e:
        Image, hello = None, refusal(LACKS, "%s: install Pillow for %s" % (e, sys.executable))
    try:
        send(sock, hello)
        if Image:
            serve(sock, Image)
    except ConnectionError:     # the worker may go at any time
        pass


if __name__ == "__main__":
    main()
