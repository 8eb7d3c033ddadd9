# SPDX-License-Identifier: Apache-2.0
"""From the parts of a request to the fields that a handler sees."""

import json

from sconce import logs

_JSON = "application/json"


def _decoded(value, media):
    """JSON and text are decoded as TorchServe does; what cannot be stays a bytearray."""
    try:
        if media == _JSON:
            return json.loads(value)
        return value.decode("utf-8")
    except (ValueError, RecursionError) as e:
        logs.complain("The %s input could not be decoded and is passed as bytes: %s" % (media, e))
        return value


def make_decoder(memory, decode_inputs):
    """Returns a function from a Request to its field dict. Values are copies that handlers may
    keep."""
    read = memory.read

    def fields(request):
        row = {}
        for _kind, name, media, segment, offset, length, _dtype, _dims in request.parts:
            value = bytearray(read(segment, offset, length))
            if media and decode_inputs and (media == _JSON or media.startswith("text")):
                value = _decoded(value, media)
            row[name] = value
        return row

    return fields
