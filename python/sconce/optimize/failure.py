# SPDX-License-Identifier: Apache-2.0
"""What ends a run, or one candidate of it, with a sentence for a person."""


class Failure(Exception):
    """Nothing can be optimized; the message says why and what would help."""


class Usage(Failure):
    """The command line asks for what there is not."""


class Unsuitable(Exception):
    """This candidate is not for this model or machine; the message says why."""


def sentence(error):
    """An exception as one line: the first that says something."""
    for line in str(error).strip().split("\n"):
        if line.strip():
            text = line.strip()
            return text if len(text) <= 300 else text[:297] + "..."
    return type(error).__name__
