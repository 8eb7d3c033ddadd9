# SPDX-License-Identifier: Apache-2.0
"""CONTRACTION_MAP: what short forms stand for, "don't" for "do not".

Vocabularies of models were built with exactly this table, its slips included. The order counts as
well: of two forms that fit, the first is expanded.
"""

import re

_ENDINGS = {"n't": "not", "'d": "would", "'ll": "will", "'m": "am", "'re": "are", "'s": "is",
            "'ve": "have"}

# A word with endings that mean what they usually do, or a form = what it stands for.
_TABLE = """
ain't=is not
are n't
can't=cannot
can't've=cannot have
'cause=because
could 've n't n't've
did n't
does n't
do n't
had n't n't've
has n't
have n't
he 'd 'd've 'll
he'll've=he he will have
he 's
how'd=how did
how'd'y=how do you
how 'll 's
I 'd 'd've 'll 'll've 'm 've
i 'd 'd've 'll 'll've 'm 've
is n't
it 'd 'd've 'll 'll've 's
let's=let us
ma'am=madam
may n't
might 've n't n't've
must 've n't n't've
need n't n't've
o'clock=of the clock
ought n't n't've
shan't=shall not
sha'n't=shall not
shan't've=shall not have
she 'd 'd've 'll 'll've 's
should 've n't n't've
so 've
so's=so as
that 'd 'd've 's
there 'd 'd've 's
they 'd 'd've 'll 'll've 're 've
to 've
was n't
we 'd 'd've 'll 'll've 're 've
were n't
what 'll 'll've 're 's 've
when 's 've
where'd=where did
where 's 've
who 'll 'll've 's 've
why 's 've
will 've
won't=will not
won't've=will not have
would 've n't n't've
y'all=you all
y'all'd=you all would
y'all'd've=you all would have
y'all're=you all are
y'all've=you all have
you 'd 'd've 'll 'll've 're 've
"""


def _expanded(line):
    """(form, what it stands for) for each form that a line of the table has."""
    if "=" in line:
        yield tuple(line.split("="))
        return
    word, *groups = line.split()
    for group in groups:
        endings = re.findall("n't|'[a-z]+", group)
        yield word + group, " ".join([word] + [_ENDINGS[ending] for ending in endings])


CONTRACTION_MAP = dict(pair for line in _TABLE.strip().split("\n") for pair in _expanded(line))
