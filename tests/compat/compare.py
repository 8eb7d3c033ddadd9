# SPDX-License-Identifier: Apache-2.0
"""Compares two answers. Every difference belongs to a deviation: of the step, or of a rule.

A rule is a deviation that shows in very many answers, so no step names it. A step that names the
aspect "answer" says that the two have nothing in common: one refuses what the other accepts.
"""

import difflib

# Reading has checked that the length is the body's.
IGNORED = {"header date", "header server", "header content-length"}


def reason_phrase(name, theirs, ours):
    """Empty in TorchServe for what handlers answer, and with a number where none is standard."""
    return name == "reason" and ours and (not theirs or theirs.startswith(f"{ours} ("))


def open_after_errors(name, theirs, ours):
    """TorchServe closes the connection after every error."""
    return name == "header connection" and (theirs, ours) == ("close", "keep-alive")


RULES = {"reason-phrase": reason_phrase, "open-after-errors": open_after_errors}


def differences(theirs, ours):
    """({aspect: (theirs, ours)}, names of the rules that explain others)."""
    a, b = theirs.aspects(), ours.aspects()
    found, rules = {}, set()
    for name in sorted((a.keys() | b.keys()) - IGNORED):
        pair = a.get(name), b.get(name)
        if pair[0] == pair[1]:
            continue
        by_rule = [rule for rule, holds in RULES.items() if holds(name, *pair)]
        rules.update(by_rule)
        if not by_rule:
            found[name] = pair
    return found, rules


def declared(step):
    """{aspect: deviation} of a step."""
    return {aspect.strip(): name for name, aspects in step.differs.items()
            for aspect in aspects.split(",")}


def complaint(found, step):
    """What is wrong with the differences of a step, or an empty text."""
    named = declared(step)
    if "answer" in named:
        same = not {"status", "body"} & found.keys()
        return f"  the answer is the same, against {named['answer']}" if same else ""
    lines = [f"  {aspect} differs:\n{show(*pair)}" for aspect, pair in found.items()
             if aspect not in named]
    lines += [f"  {aspect} does not differ, against {name}"
              for aspect, name in named.items() if aspect not in found]
    return "\n".join(lines)


def show(theirs, ours):
    """Two values, or where two texts of many lines differ."""
    if "\n" not in f"{theirs}{ours}":
        return f"    TorchServe: {theirs!r}\n    sconce:     {ours!r}"
    lines = difflib.unified_diff(f"{theirs}".splitlines(), f"{ours}".splitlines(),
                                 "TorchServe", "sconce", lineterm="", n=2)
    return "\n".join("    " + line for line in lines)
