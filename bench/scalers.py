# SPDX-License-Identifier: Apache-2.0
"""How Kubernetes decides on a number of pods: the HPA's formula, with its tolerance, windows and
limits, and KEDA's part of it. Pure: time is an argument. Figures are their defaults.

    https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/"""

import math
from dataclasses import dataclass, field

TOLERANCE = 0.1
SYNC_S = 15


def by_value(ratio, current, ready):
    """A metric of type Value (Object, External): `ratio` is metric over target. What is there is
    thought to be what makes the metric."""
    if current == 0:
        return math.ceil(ratio)
    if abs(ratio - 1) <= TOLERANCE:
        return current
    return math.ceil(ratio * ready)


def by_average(total, target, current):
    """AverageValue, as KEDA gives its triggers: a sum over all pods, and what is right for one."""
    if current and abs(total / (target * current) - 1) <= TOLERANCE:
        return current
    return math.ceil(total / target)


def by_resource(usages, target, current):
    """CPU: a list of each pod's usage over its request, None for one that is not ready. Those count
    as idle when it is to grow, and not at all when it is to shrink; if that turns the decision
    around there is none."""
    known = [u for u in usages if u is not None]
    if not known:
        return current
    ratio = sum(known) / len(known) / target
    if abs(ratio - 1) <= TOLERANCE:
        return current
    count, total = len(known), sum(known)
    if ratio > 1:
        count = len(usages)
    again = total / count / target
    if abs(again - 1) <= TOLERANCE or (again > 1) != (ratio > 1):
        return current
    return math.ceil(again * count)


@dataclass
class Limits:
    """`behavior` of an HPA, with its defaults."""
    least: int = 1
    most: int = 20
    up_window_s: float = 0
    down_window_s: float = 300
    up_pods: int = 4            # in 15 s …
    up_share: float = 1.0       # … or so much of what there is, whichever is more
    up_period_s: float = 15
    down_share: float = 1.0
    down_period_s: float = 15


@dataclass
class Hpa:
    limits: Limits = field(default_factory=Limits)
    recommended: list = field(default_factory=list)    # (when, pods)
    changes: list = field(default_factory=list)        # (when, how many)

    def _stabilized(self, now, current, wanted):
        """Grows to the least that was recommended in the window for growing, shrinks to the most
        in that for shrinking."""
        self.recommended.append((now, wanted))
        longest = max(self.limits.up_window_s, self.limits.down_window_s)
        self.recommended = [(t, n) for t, n in self.recommended if t > now - longest or t == now]
        up = min(n for t, n in self.recommended
                 if t > now - self.limits.up_window_s or t == now)
        down = max(n for t, n in self.recommended
                   if t > now - self.limits.down_window_s or t == now)
        return min(max(current, up), down)

    def _limited(self, now, current, wanted):
        """No more in a period than its policies allow."""
        if wanted > current:
            begun = current - sum(n for t, n in self.changes
                                  if n > 0 and t > now - self.limits.up_period_s)
            most = max(begun + self.limits.up_pods,
                       math.ceil(begun * (1 + self.limits.up_share)))
            return min(wanted, max(most, current))
        begun = current - sum(n for t, n in self.changes
                              if n < 0 and t > now - self.limits.down_period_s)
        least = math.floor(begun * (1 - self.limits.down_share))
        return max(wanted, min(least, current))

    def decide(self, now, current, wishes):
        """`wishes`: what each metric asks for; the largest counts. Returns how many there are to
        be."""
        wanted = self._stabilized(now, current, max(wishes))
        wanted = min(max(wanted, self.limits.least), self.limits.most)
        wanted = self._limited(now, current, wanted)
        if wanted != current:
            self.changes.append((now, wanted - current))
        return wanted


@dataclass
class Keda:
    """Between none and one KEDA decides, by its own polls; beyond that the HPA does. Figures are
    the chart's."""
    poll_s: int = 5
    cooldown_s: float = 300
    active_at: float = 0        # when a trigger was active last

    def decide(self, now, current, active):
        """0 or 1 pods to begin or end with; None: the HPA decides."""
        if active:
            self.active_at = now
            return 1 if current == 0 else None
        if current == 0:
            return 0
        return 0 if now - self.active_at >= self.cooldown_s else None
