# SPDX-License-Identifier: Apache-2.0
"""Asks for the embeddings of the sentences in a file, and shows how alike each two of them are."""

import json
import sys
from itertools import combinations
from urllib.request import Request, urlopen

with open(sys.argv[1]) as file:
    texts = json.load(file)["texts"]
request = Request("http://127.0.0.1:8080/predictions/minilm", json.dumps({"texts": texts}).encode(),
                  {"Content-Type": "application/json"})
with urlopen(request, timeout=60) as answer:
    embeddings = json.load(answer)["embeddings"]
for (a, left), (b, right) in combinations(zip(texts, embeddings), 2):
    # Of length 1, so this is the cosine of the angle between them.
    print(f"{sum(x * y for x, y in zip(left, right)):5.2f}  {a} / {b}")
