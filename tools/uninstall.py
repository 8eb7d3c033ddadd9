#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Removes what `meson install` has put below a prefix: uninstall.py BUILD PREFIX [DESTDIR].

Meson's own `uninstall` knows the last installation only, by its log, and nothing of what Python
has written since into the folders of its packages.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path


def introspect(build, what):
    command = ["meson", "introspect", build, what]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def installed(build):
    """Paths of files and folders, relative to the prefix."""
    options = introspect(build, "--buildoptions")
    prefix, = [o["value"] for o in options if o["name"] == "prefix"]
    return [Path(path).relative_to(prefix) for path in introspect(build, "--installed").values()]


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_empty(folder, root):
    """The folders from this one up to the root, as far as they are empty."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def main(build, prefix, destdir=""):
    root = Path(destdir + prefix) if destdir else Path(prefix)
    paths = installed(build)
    for path in paths:
        remove(root / path)
    remove(root / "share" / "sconce")
    for path in paths:
        remove_empty((root / path).parent, root)
    print(f"uninstalled from {root}")


if __name__ == "__main__":
    if not Path(sys.argv[1], "build.ninja").exists():
        sys.exit(f"{sys.argv[1]}/ says what was installed, and is not there: make build")
    main(*sys.argv[1:])
