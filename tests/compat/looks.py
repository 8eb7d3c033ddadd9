# SPDX-License-Identifier: Apache-2.0
"""What is compared of a body where not every byte counts."""

import json
import re


def any_order(text):
    """JSON whose members may come in any order."""
    try:
        return json.dumps(json.loads(text), sort_keys=True, indent=1)
    except ValueError:
        return text


def operations(text):
    """Of an OpenAPI document what programs are made from: its paths, methods and names."""
    try:
        document = json.loads(text)
    except ValueError:
        return text
    lines = [f"OpenAPI {document.get('openapi')} {document.get('info', {}).get('title')}"]
    for path, methods in sorted(document.get("paths", {}).items()):
        lines += [f"{method} {path} {what.get('operationId')}" for method, what in methods.items()]
    return "\n".join(lines)


def fields(text):
    """What the handler see.py saw of a body."""
    try:
        return json.dumps(json.loads(text)["fields"])
    except (ValueError, KeyError, TypeError):
        return text


def families(text):
    """Of a metrics text the families with their help and the names of labels, and no values: what
    is behind the first space outside quotes, for digits may have been taken for a port's."""
    lines = {re.sub(r'"[^"]*"| .*', "", line) if not line.startswith("#") else line
             for line in text.splitlines()}
    return "\n".join(sorted(line for line in lines if line and "sconce_" not in line))
