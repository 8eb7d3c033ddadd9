# SPDX-License-Identifier: Apache-2.0
"""Streaming, and classes named by strings."""

import importlib
import os

from ts.context import Context  # noqa: F401  handlers import it from here, too


def import_class(class_name, module_prefix=None):
    """The class that "module.Class" names, in package `module_prefix` if one is given."""
    module_name, _, name = (class_name or "").rpartition(".")
    path = ".".join(part for part in (module_prefix, module_name) if part)
    if not name or not path:
        raise ImportError("%r does not name a module and a class" % class_name)
    found = getattr(importlib.import_module(path), name, None)
    if found is None:
        raise ImportError("there is no class %s in %s" % (name, path))
    return found


def send_intermediate_predict_response(ret, req_id_map, message, code, context=None):
    """Sends `ret`, a piece for every request of the batch, ahead of the rest of the answer.
    `req_id_map`: the context's request_ids when the batch began; any thread may use it, and what
    comes after a request's answer is dropped."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
    from sconce import serving

    serving.send_intermediate(context, ret, req_id_map)
