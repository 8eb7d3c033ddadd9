# SPDX-License-Identifier: Apache-2.0
"""Compares two answers. Every difference belongs to a deviation: of the step, or of a rule.

A rule is a deviation that shows in very many answers, so no step names it. A step that names the
aspect "answer" says that the two have nothing in common: one refuses what the other accepts.
"""

import difflib
import json

# Reading has checked that the length is the body's.
IGNORED = {"header date", "header server", "header content-length"}


def reason_phrase(name, theirs, ours):
    """Empty in TorchServe for what handlers answer, and with a number where none is standard."""
    return name == "reason" and ours and (not theirs or theirs.startswith(f"{ours} ("))


def open_after_errors(name, theirs, ours):
    """TorchServe closes the connection after every error."""
    return name == "header connection" and (theirs, ours) == ("close", "keep-alive")


def remedy_after_message(name, theirs, ours):
    """The same error in TorchServe's words, and behind them what to do."""
    documents = [document(text) for text in (theirs, ours)] if name == "body" else [None]
    if not all(documents):
        return False
    a, b = (one.pop("message", None) for one in documents)
    return documents[0] == documents[1] and bool(a and b) and b.startswith(a.rstrip(".") + ". ")


def document(text):
    """A JSON object that is one error, or None."""
    try:
        value = json.loads(text or "")
    except ValueError:
        return None
    return value if isinstance(value, dict) and "code" in value else None


RULES = {"reason-phrase": reason_phrase, "open-after-errors": open_after_errors,
         "remedy-after-message": remedy_after_message}


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
