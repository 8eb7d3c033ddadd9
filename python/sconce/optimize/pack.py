# SPDX-License-Identifier: Apache-2.0
"""The archive that is written: the original, and beside it what was chosen, with its provenance."""

import contextlib
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from sconce.optimize.failure import Failure
from sconce.optimize.interrupt import uninterrupted


def add_provenance(folder, rows, chosen, samples, serving):
    """What was measured, into optimized.json."""
    path = folder / "optimized.json"
    facts = json.loads(path.read_text())
    facts["samples"] = samples
    facts["figures"] = {r["name"]: {k: v for k, v in r.items() if k != "name"} for r in rows}
    facts["chosen"] = chosen["name"]
    if serving:
        facts["serving"] = serving
    path.write_text(json.dumps(facts, indent=1))


class Outputs:
    """Files that are written beside their places, and appear there together, or not at all."""

    def __init__(self):
        self._parts = []    # (temporary, place)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for temporary, _ in self._parts:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def add(self, place):
        descriptor, temporary = tempfile.mkstemp(prefix=".%s-" % place.name, dir=place.parent)
        os.close(descriptor)
        self._parts.append((temporary, place))
        return temporary

    def publish(self):
        """In a moment in which nobody interrupts it."""
        with uninterrupted():
            for temporary, place in self._parts:
                try:
                    os.chmod(temporary, 0o644)
                    os.replace(temporary, place)
                except OSError as e:
                    raise Failure("%s cannot be written: %s" % (place, e.strerror)) from None
            self._parts = []


def write(source_dir, optimized_dir, output, outputs):
    """A new archive."""
    try:
        # Files from before 1980, as reproducible builds have them, are of 1980.
        with zipfile.ZipFile(outputs.add(output), "w", zipfile.ZIP_DEFLATED, compresslevel=1,
                             strict_timestamps=False) as archive:
            for base, prefix in ((source_dir, ""), (optimized_dir, "optimized/")):
                for file in sorted(p for p in Path(base).rglob("*") if p.is_file()):
                    if "__pycache__" not in file.parts:
                        archive.write(file, prefix + file.relative_to(base).as_posix())
    except OSError as e:
        raise Failure("%s cannot be written: %s" % (output, e.strerror)) from None


def check_folder(option, given, place):
    """Before the work, not after it."""
    if not place.parent.is_dir():
        raise Failure("%s %s: the folder is not there" % (option, given))
    if place.is_dir():
        raise Failure("%s %s: a folder is there" % (option, given))
    if not os.access(place.parent, os.W_OK):
        raise Failure("%s %s: the folder cannot be written to" % (option, given))


def check_place(given, output, source):
    check_folder("--output", given, output)
    if output.exists() and source.exists() and os.path.samefile(output, source):
        raise Failure("--output is the original itself: name another file")


def model_dir(source_dir, candidate_dir, into):
    """What a worker is to load of a candidate: links to the original's files, and its own."""
    into.mkdir(parents=True)
    for entry in Path(source_dir).iterdir():
        if entry.is_dir():
            shutil.copytree(entry, into / entry.name, copy_function=os.link)
        else:
            os.link(entry, into / entry.name)
    if candidate_dir:
        os.symlink(candidate_dir, into / "optimized")
    return into
