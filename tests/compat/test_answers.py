# SPDX-License-Identifier: Apache-2.0
"""Every case: the same requests, the same answers, but for what is declared."""

import pytest

from compat import cases
from compat.answers import perform
from compat.compare import RULES, complaint, declared, differences
from compat.pending import PENDING


def tell(step):
    what = getattr(step, "what", None) or step.raw or f"{step.method} {step.target}"
    return getattr(what, "__name__", what)


@pytest.mark.parametrize("case", cases.ALL, ids=lambda case: f"{case.config}/{case.name}")
def test_answers(case, pairs, seen):
    pair = pairs.get(case.config)
    wrong = []
    for step in case.steps:
        found, rules = differences(perform(pair.torchserve, step), perform(pair.sconce, step))
        seen.update(rules)
        text = complaint(found, step)
        wrong += [f"{tell(step)}\n{text}"] if text else []
    pair.clean()
    if wrong and case.name in PENDING:
        pytest.xfail(PENDING[case.name] + "\n" + "\n".join(wrong))
    assert not wrong, "\n".join(wrong)


def test_rules_are_needed(request, pairs, seen):
    """A deviation that shows everywhere was seen somewhere."""
    ran = [item for item in request.session.items if item.name.startswith("test_answers")]
    if len(ran) < len(cases.ALL):
        pytest.skip("not all cases ran")
    assert seen == set(RULES)


def test_declared_aspects_belong_to_one_deviation():
    for case in cases.ALL:
        for step in case.steps:
            names = [a.strip() for text in step.differs.values() for a in text.split(",")]
            assert len(names) == len(declared(step)), case.name
