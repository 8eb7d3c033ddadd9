# SPDX-License-Identifier: Apache-2.0
"""From what a handler returns to the bytes of a reply."""

import json
import sys


class Unsupported(TypeError):
    """A value that cannot be sent."""


def _is_whole(tensor):
    """Is it all that there is in the memory where it lies? Not known is no."""
    try:
        size = 1
        for stride, length in sorted(zip(tensor.stride(), tensor.shape)):
            if length != 1 and stride:      # along a stride of 0 it is the same again
                if stride != size:
                    return False
                size *= length
        return size * tensor.element_size() == tensor.untyped_storage().nbytes()
    except Exception:      # each layout has reasons of its own
        return False


def _tensor_bytes(value):
    """torch.save bytes for a tensor, None for anything else. Never imports torch, of which there
    may be a part only: a thread of the handler's may be at it.

    torch.save writes all that a tensor is a part of. Of a row of a batch that is what the others
    are answered, so parts are copied."""
    torch = sys.modules.get("torch")
    kind = getattr(torch, "Tensor", None)
    if kind is None or not isinstance(value, kind):
        return None
    import io

    out = io.BytesIO()
    torch.save(value if _is_whole(value) else value.clone(), out)
    return out.getvalue()


def encode(value):
    """bytes as they are, str as UTF-8, tensors as torch.save bytes, the rest as indented JSON.
    Anything may be raised for what a handler made."""
    kind = type(value)
    if kind is bytes or kind is bytearray:
        return value
    if isinstance(value, (bytes, bytearray)):
        return b"".join((value,))    # whatever else its class says of its bytes and length
    if isinstance(value, str):
        # Bytes of a request's header that are not UTF-8 go out as they came in; other lone
        # surrogates cannot be sent.
        return b"".join((value.encode("utf-8", "surrogateescape"),))
    data = _tensor_bytes(value)
    if data is not None:
        return data
    try:
        return json.dumps(value, indent=2).encode("utf-8")
    except (TypeError, ValueError, OverflowError, RecursionError) as e:
        raise Unsupported(str(e)) from e
