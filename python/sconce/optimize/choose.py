# SPDX-License-Identifier: Apache-2.0
"""Which candidate is written: the fastest whose outputs are the original's."""

GAIN = 1.03     # less than that is noise


def speed(row):
    """Answers per second where they were measured, else calls of the model per second."""
    return row.get("throughput") or 1e3 / row["model_ms"]


def within(row, tolerance):
    agreement = row.get("agreement")
    return row["difference"] <= tolerance and (agreement is None or agreement == 1)


def _praise(best, others, tolerance):
    if not within(best, tolerance):
        return "the fastest, outside the tolerance, which --accept allows"
    return "the fastest%s" % (" within the tolerance" if any(
        speed(r) > speed(best) for r in others) else "")


def choose(rows, tolerance, accept):
    """(row or None, why). `rows`: of candidates that were measured, the original among them."""
    original = next(r for r in rows if r["name"] == "original")
    others = [r for r in rows if r is not original and not r.get("error")]
    good = [r for r in others if accept or within(r, tolerance)]
    best = max(good, key=speed, default=None)
    if best and speed(best) >= GAIN * speed(original):
        return best, _praise(best, others, tolerance)
    outside = [r for r in others if not within(r, tolerance)]
    fast = max(outside, key=speed, default=None)
    if not accept and fast and speed(fast) >= GAIN * speed(best or original):
        return None, ("%s is faster, but its outputs differ by %.2g of their range, more than "
                      "--tolerance %g%s; --accept takes it nevertheless"
                      % (fast["title"], fast["difference"], tolerance,
                         "" if fast.get("agreement") in (None, 1) else
                         ", and its first choice agrees for only %.1f %% of the samples"
                         % (100 * fast["agreement"])))
    if not others:
        return None, "no candidate could be made"
    return None, "none is faster than the original"
