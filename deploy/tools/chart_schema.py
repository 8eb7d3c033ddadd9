#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the settings into the chart's values.schema.json.

    deploy/tools/chart_schema.py [--check]

Keys, types and bounds below `config` come from docs/settings.md, which comes from the server's own
table, so that a chart refuses a mistyped setting before anything starts.
"""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "deploy/helm/sconce/values.schema.json"
# What the chart makes of other values.
OWN = {"inference_address", "management_address", "metrics_address", "model_store", "tmp_dir",
       "log_location", "metrics_location", "cache_dir", "key_file", "keys_from",
       "disable_token_authorization"}
CELLS = re.compile(r"(?<!\\)\|")


def bounds(allowed):
    """{} or {"minimum", "maximum"}, of "0..100"."""
    match = re.fullmatch(r"(\d+)\.\.(\d+)", allowed)
    return {"minimum": int(match[1]), "maximum": int(match[2])} if match else {}


def schema_of(kind, allowed, help_text):
    words = allowed.replace("\\|", "|").split("|") if allowed else []
    described = {"description": help_text.replace("\\_", "_").replace("\\|", "|").strip()}
    text = {"type": ["string", "null"]}
    kinds = {
        "boolean": {"type": ["boolean", "null"]},
        "number": {"type": ["integer", "null"], **bounds(allowed)},
        "decimal": {"type": ["number", "null"], **bounds(allowed)},
        "size": {"anyOf": [{"type": ["integer", "null"], "minimum": 0},
                           {"type": "string", "pattern": "^[0-9]+[kmgtKMGT]?$"}]},
        # YAML reads numbers and truth values where a word is meant.
        "choice": {"enum": [*words, *(json.loads(w) for w in words if w in ("true", "false")),
                            *(int(w) for w in words if w.isdigit()), None]},
        "text": {"type": ["string", "number", "object", "array", "null"]},
    }
    return {**kinds.get(kind, text), **described}


def settings():
    """Rows of the tables: setting, type, default, allowed, meaning."""
    lines = (ROOT / "docs/settings.md").read_text().splitlines()
    rows = [[cell.strip(" `") for cell in CELLS.split(line)[1:-1]]
            for line in lines if line.startswith("| `")]
    if not rows:
        sys.exit("docs/settings.md: no table of settings is there")
    return {key: schema_of(kind, allowed, text) for key, kind, _, allowed, text in sorted(rows)
            if key not in OWN}


def fresh():
    schema = json.loads(SCHEMA.read_text())
    schema["properties"]["config"] = {
        "type": "object", "additionalProperties": False, "properties": settings()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    check = parser.parse_args().check
    text = fresh()
    if check:
        if text != SCHEMA.read_text():
            sys.exit(f"{SCHEMA.name} is not up to date: run deploy/tools/chart_schema.py")
        return
    SCHEMA.write_text(text)


if __name__ == "__main__":
    main()
