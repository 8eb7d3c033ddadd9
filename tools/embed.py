#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs the files of the web console into a C source: as they are, and compressed.

    tools/embed.py OUTPUT.c FILE...

The first file is the page. The same files give the same source, byte for byte.
"""

import gzip
import hashlib
import sys
from pathlib import Path

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def array(name, data):
    rows = [", ".join(map(str, data[i:i + 20])) for i in range(0, len(data), 20)]
    return f"static const unsigned char {name}[] = {{\n\t" + ",\n\t".join(rows) + "\n};\n"


def source(files):
    parts = ["/* Made by tools/embed.py. */\n#include \"api/console.h\"\n"]
    rows = []
    for i, path in enumerate(files):
        data = path.read_bytes()
        packed = gzip.compress(data, 9, mtime=0)
        parts += [array(f"plain_{i}", data), array(f"packed_{i}", packed)]
        rows.append(f'\t{{ "{path.name}", "{TYPES[path.suffix]}", '
                    f'"{hashlib.sha256(data).hexdigest()[:20]}", plain_{i}, packed_{i}, '
                    f"sizeof(plain_{i}), sizeof(packed_{i}) }},\n")
    parts.append("const struct console_asset console_assets[] = {\n" + "".join(rows) + "};\n"
                 f"const unsigned console_assets_count = {len(rows)};\n")
    return "\n".join(parts)


def main():
    output, *files = map(Path, sys.argv[1:])
    output.write_text(source(files))


if __name__ == "__main__":
    main()
