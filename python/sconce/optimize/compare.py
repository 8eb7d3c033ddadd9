# SPDX-License-Identifier: Apache-2.0
"""How far outputs are from the original's."""

import torch

from sconce.compiled.artifact import difference


def top1(found, wanted):
    """(agreeing, all) rows whose greatest element is in the same place; nothing for what has no
    classes."""
    if not wanted.is_floating_point() or wanted.dim() < 2 or wanted.shape[-1] < 2:
        return 0, 0
    if found.shape != wanted.shape:
        return 0, wanted[..., 0].numel()
    same = found.argmax(-1) == wanted.argmax(-1)
    return int(same.sum()), same.numel()


class Comparison:
    """Over all outputs that were added."""

    def __init__(self):
        self.difference, self.agreeing, self.rows = 0.0, 0, 0

    def add(self, found, wanted):
        if len(found) != len(wanted):
            self.difference = float("inf")
            return
        for f, w in zip(found, wanted):
            f = f.detach().cpu()
            self.difference = max(self.difference, difference(f, w))
            agreeing, rows = top1(f, w)
            self.agreeing += agreeing
            self.rows += rows

    @property
    def agreement(self):
        return self.agreeing / self.rows if self.rows else None


def stacked_rows(calls, batches, sizes=(2, 3)):
    """Recorded calls, and some of them as one batch."""
    for call in calls:
        yield call["inputs"], call["outputs"]
    if not batches:
        return
    for n in sizes:
        group = [calls[i % len(calls)] for i in range(n)]
        try:
            yield tuple([torch.cat(tensors) for tensors in zip(*(c[key] for c in group))]
                        for key in ("inputs", "outputs"))
        except RuntimeError:    # samples of different sizes do not stack
            return
