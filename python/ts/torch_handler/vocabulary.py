# SPDX-License-Identifier: Apache-2.0
"""Vocabularies that torchtext has made, read where it is not installed.

torchtext is archived and works with few versions of torch; archives with a `source_vocab.pt` from
it live on.
"""

import importlib.util
import pickle

import torch


class Vocabulary:
    """Takes the place of torchtext's classes of that name: from a token to its number."""

    default = None    # the number of all tokens that are not in `numbers`
    numbers = ()

    def __new__(cls, *_):
        return super().__new__(cls)

    def __setstate__(self, state):
        if isinstance(state, tuple):
            # The compiled class: version, perhaps a default, all tokens by number, no tensors.
            _version, default, tokens, *_ = state
            self.default = default[0] if default else None
            self.numbers = {token: number for number, token in enumerate(tokens)}
        elif "vocab" in state:
            # The module around it.
            self.default, self.numbers = state["vocab"].default, state["vocab"].numbers
        else:
            # Before version 0.9. A dict with a default knows that by itself.
            numbers = state["stoi"]
            self.numbers = dict(numbers)
            self.default = state.get("unk_index")
            if self.default is None and getattr(numbers, "default_factory", None):
                self.default = numbers.default_factory()

    def __getitem__(self, token):
        number = self.numbers.get(token, self.default)
        if number is None:
            raise KeyError("the token %r is not in the vocabulary, which has no default" % token)
        return number

    def __call__(self, tokens):
        return [self[token] for token in tokens]

    def __contains__(self, token):
        return token in self.numbers

    def __len__(self):
        return len(self.numbers)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module.partition(".")[0] != "torchtext":
            return super().find_class(module, name)
        # The function is the default of early versions: 0.
        return {"Vocab": Vocabulary, "_default_unk_index": int}[name]


class _Pickle:
    """What torch.load() uses of a module like pickle."""

    Unpickler = _Unpickler
    UnpicklingError = pickle.UnpicklingError
    load = staticmethod(pickle.load)
    loads = staticmethod(pickle.loads)


def load_vocabulary(path):
    """What is in the file: like the handler beside it, it may run code."""
    module = pickle if importlib.util.find_spec("torchtext") else _Pickle
    return torch.load(path, pickle_module=module, weights_only=False)
