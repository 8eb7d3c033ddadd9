# SPDX-License-Identifier: Apache-2.0
"""Asks for a text and prints it word by word, as the words come."""

import json
import sys
from urllib.request import Request, urlopen

body = json.dumps({"prompt": " ".join(sys.argv[1:]) or "The"}).encode()
request = Request("http://127.0.0.1:8080/predictions/writer", body,
                  {"Content-Type": "application/json"})
with urlopen(request, timeout=60) as answer:
    for line in answer:
        if line.startswith(b"data: "):
            print(json.loads(line[6:]).get("text", "\n"), end="", flush=True)
