# SPDX-License-Identifier: Apache-2.0
"""The commands torchserve and torch-model-archiver: what they make, say, and end with."""

import json
import zipfile

from compat.case import Do, cases_for

case = cases_for("combined")


def command(name, *arguments, said=True, **more):
    """A command line. said=False: its texts are its own, and only the exit code counts."""
    def run(server):
        code, out, err = server.run(name, *arguments)
        return f"exit {code}\n{out}{err}" if said else f"exit {code}"
    run.__name__ = " ".join([name, *arguments])
    return case(run.__name__, Do(run, **more))


SERVE = [
    command("torchserve", "--version"), command("torchserve", "-v"),
    command("torchserve", "--stop"),
    command("torchserve", "--start"),
    command("torchserve", "--start", "--ncs", "--model-store", "none"),
    command("torchserve", "--start", "--ncs", "--ts-config", "none.properties"),
    command("torchserve", "--start", "--stop", said=False),
    command("torchserve", "--nonsense", said=False), command("torchserve", "--help", said=False),
]


def archived(*arguments, name="m", **more):
    """Makes an archive; its manifest and its files count."""
    def make(server):
        folder = server.root / "commands"
        folder.mkdir(exist_ok=True)
        for file in ("h.py", "w.bin", "a.txt", "m.yaml", "requirements.txt"):
            (folder / file).write_text(f"# {file}\n")
        (folder / f"{name}.mar").unlink(missing_ok=True)
        code, out, err = server.run("torch-model-archiver", "--model-name", name, *arguments)
        if not (folder / f"{name}.mar").exists():
            return f"exit {code}\n{out}{err}"
        with zipfile.ZipFile(folder / f"{name}.mar") as archive:
            manifest = json.loads(archive.read("MAR-INF/MANIFEST.json"))
            manifest["createdOn"] = len(manifest["createdOn"])
            names = sorted(n for n in archive.namelist() if not n.endswith("/"))
        return f"exit {code}\n{out}{err}{names}\n{json.dumps(manifest, sort_keys=True)}"
    make.__name__ = " ".join(["archives", *arguments])
    return case(make.__name__, Do(make, **more))


ARCHIVES = [
    archived("--version", "1.0", "--handler", "h.py"),
    archived("-v", "2.0", "--handler", "h.py", "--serialized-file", "w.bin", "-f"),
    archived("-v", "1", "--handler", "h.py", "--extra-files", "a.txt,w.bin", "-f",
             "--runtime", "python3", "-c", "m.yaml", "-r", "requirements.txt"),
    archived("-v", "1", "--handler", "image_classifier", "-f", "--archive-format", "zip-store"),
    archived("-v", "1", "--handler", "h.py:serve", "-f",
             differs={"handler-function": "body"}),
] + [
    command("torch-model-archiver", said=False),
    command("torch-model-archiver", "--help", said=False),
    command("torch-model-archiver", "--model-name", "x", said=False),
    command("torch-model-archiver", "--model-name", "bad name", "-v", "1", "--handler", "h.py",
            said=False),
    case("archives again", *(command("torch-model-archiver", "--model-name", "again", "-v", "1",
                                     "--handler", "h.py", said=False).steps[0] for _ in "12")),
    command("torch-model-archiver", "--model-name", "n", "-v", "1", "--handler", "none.py",
            said=False),
    command("torch-model-archiver", "--model-name", "n", "-v", "1", "--handler", "h.py",
            "--runtime", "java", said=False),
]

CASES = SERVE + ARCHIVES
