# SPDX-License-Identifier: Apache-2.0
"""What a model is called with and what it returns: tensors, in tuples, lists and mappings.

flatten() takes such a value apart into its tensors and a skeleton, which is JSON; build() puts one
together again. A skeleton is one of

    {"tensor": 0}                 the tensor of that number
    {"list": […]}, {"tuple": […]}
    {"named": {"name": …}}        a tuple whose parts have names, too
    {"dict": {"name": …}}         in order; whatever mapping it was
    {"value": …}                  None, a bool, a number or a text
"""

import functools
from collections import namedtuple
from collections.abc import Mapping

import torch


class Outputs(dict):
    """Named outputs, as the libraries of language models return them: by name, by attribute, and
    by number."""

    def __getitem__(self, key):
        if isinstance(key, (int, slice)):
            return tuple(self.values())[key]
        return super().__getitem__(key)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError("the model has no output %r; it has %s"
                                 % (name, ", ".join(self))) from None


@functools.lru_cache(maxsize=None)
def _named(names):
    return namedtuple("Named", names)


def _take_mapping(value, tensors):
    other = next((k for k in value if not isinstance(k, str)), None)
    if other is not None:
        raise TypeError("a mapping has the key %r, which is no text" % (other,))
    return {k: _take(v, tensors) for k, v in value.items()}


def _take(value, tensors):
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return {"tensor": len(tensors) - 1}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    if isinstance(value, Mapping):
        return {"dict": _take_mapping(value, tensors)}
    # Those of namedtuple(), and of torch's functions that return several tensors.
    names = isinstance(value, tuple) and (getattr(value, "_fields", None)
                                          or getattr(value, "__match_args__", None))
    if names:
        return {"named": {k: _take(v, tensors) for k, v in zip(names, value)}}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_take(v, tensors) for v in value]}
    raise TypeError("%s is neither a tensor, nor a list, tuple or mapping of tensors"
                    % type(value).__name__)


def flatten(value):
    """(tensors, skeleton)"""
    tensors = []
    skeleton = _take(value, tensors)
    return tensors, skeleton


def build(skeleton, tensors):
    (kind, content), = skeleton.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "value":
        return content
    if kind == "dict":
        return Outputs((k, build(v, tensors)) for k, v in content.items())
    if kind == "named":
        return _named(tuple(content))(*(build(v, tensors) for v in content.values()))
    parts = [build(v, tensors) for v in content]
    return parts if kind == "list" else tuple(parts)


def paths(skeleton, path=""):
    """Names of the tensors of a skeleton, in their order: where each was."""
    (kind, content), = skeleton.items()
    if kind == "tensor":
        return [path or "0"]
    if kind == "value":
        return []
    items = content.items() if kind in ("dict", "named") else enumerate(content)
    return [name for key, part in items
            for name in paths(part, "%s.%s" % (path, key) if path else str(key))]
