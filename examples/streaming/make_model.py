# SPDX-License-Identifier: Apache-2.0
"""Counts which word follows which two in the reference that comes with Python: made/words.json.

A small language model: it knows nothing but these counts.
"""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from pydoc_data.topics import topics

follows = defaultdict(Counter)
for topic in topics.values():
    for paragraph in re.split(r"\n\s*\n", topic):
        if re.match(r" {4,}|\W", paragraph) or not paragraph.rstrip().endswith("."):
            continue    # a piece of code, a title
        words = re.sub(r"[`*\"()]|\[\d+\]", "", paragraph).split()
        for first, second, third in zip(["", "", *words], ["", *words], [*words, ""]):
            follows[f"{first} {second}"][third] += 1

made = Path(__file__).parent / "made"
made.mkdir(exist_ok=True)
(made / "words.json").write_text(json.dumps(follows))
print(f"made/words.json: {len(follows):,} pairs of words")
