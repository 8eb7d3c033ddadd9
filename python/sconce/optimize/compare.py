# SPDX-License-Identifier: Apache-2.0
"""How far outputs are from the original's."""

import numpy as np

from sconce.compiled.difference import difference, plain


def top1(found, wanted):
    """(agreeing, all) rows whose greatest element is in the same place; nothing for what has no
    classes."""
    found, wanted = plain(found), plain(wanted)
    if not np.issubdtype(wanted.dtype, np.floating) or wanted.ndim < 2 or wanted.shape[-1] < 2:
        return 0, 0
    if found.shape != wanted.shape:
        return 0, wanted[..., 0].size
    same = found.argmax(-1) == wanted.argmax(-1)
    return int(same.sum()), same.size


class Comparison:
    """Over all outputs that were added."""

    def __init__(self):
        self.difference, self.agreeing, self.rows = 0.0, 0, 0

    def add(self, found, wanted):
        if len(found) != len(wanted):
            self.difference = float("inf")
            return
        for f, w in zip(found, wanted):
            self.difference = max(self.difference, difference(f, w))
            agreeing, rows = top1(f, w)
            self.agreeing += agreeing
            self.rows += rows

    @property
    def agreement(self):
        return self.agreeing / self.rows if self.rows else None
