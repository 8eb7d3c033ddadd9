# SPDX-License-Identifier: Apache-2.0
"""How far outputs are from those that are wanted; src/worker/optimized.c says the same in C."""

import numpy as np

SCALE_MIN = 1e-6


def plain(values):
    """A tensor of torch, or an array, as an array."""
    if not hasattr(values, "detach"):
        return values
    values = values.detach().cpu()
    return (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()


def difference(found, wanted):
    """The greatest difference of two tensors, as a part of the greatest magnitude of the wanted
    one. Infinite where they do not compare: other shapes, NaN here and not there."""
    found, wanted = plain(found), plain(wanted)
    if found.shape != wanted.shape:
        return float("inf")
    if not wanted.size:
        return 0.0
    if not np.issubdtype(wanted.dtype, np.floating):
        return 0.0 if np.array_equal(found.astype(wanted.dtype), wanted) else float("inf")
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    if same.all():
        return 0.0
    finite = wanted[np.isfinite(wanted)]
    scale = max(float(np.abs(finite).max()) if finite.size else 0.0, SCALE_MIN)
    worst = float(np.abs(found - wanted)[~same].max())
    return worst / scale if worst == worst else float("inf")
