# SPDX-License-Identifier: Apache-2.0
"""torch-model-archiver and `sconce archive`: what they pack, what they refuse, and what of it is
served."""

import hashlib
import json
import os
import signal
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from e2e.server import BIN, eventually

FORMATS = {"default": "m.mar", "zip-store": "m.mar", "tgz": "m.tar.gz", "no-archive": "m"}
REQUIRED = ("--model-name", "m", "--handler", "base_handler", "--version", "1.0")


class Bench:
    """A folder with the files that models are made of."""

    def __init__(self, root):
        self.root = root
        self.put("h.py", "def handle(data, context):\n    return [r['body'] for r in data or ()]\n")
        self.put("other.py", "def run(data, context):\n    return data\n")
        self.put("net.py", "class Net: pass\n")
        self.put("weights.pt", os.urandom(100_000))
        self.put("requirements.txt", "numpy\n")
        self.put("conf/model-config.yaml", "minWorkers: 1\n")
        self.put("extra/index.json", "{}")
        self.put("extra/deep/vocabulary.txt", "a b c")
        self.put("extra/.hidden", "kept")
        for folder in ("__pycache__", ".git", "__MACOSX", "deep/.cache"):
            self.put(f"extra/{folder}/left_out", "")

    def put(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run(self, *arguments, command=("torch-model-archiver",), environment=None):
        """Its code, its output and its complaints."""
        done = subprocess.run([BIN / command[0], *command[1:], *map(str, arguments)],
                              cwd=self.root, env={**os.environ, **(environment or {})},
                              capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def pack(self, *arguments, **options):
        assert self.run(*REQUIRED, *arguments, **options) == (0, "", "")

    def contents(self, name="m.mar"):
        path = self.root / name
        if path.is_dir():
            return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*")
                    if p.is_file()}
        if path.name.endswith(".tar.gz"):
            with tarfile.open(path) as t:
                return {m.name: t.extractfile(m).read() for m in t}
        with zipfile.ZipFile(path) as z:
            assert z.testzip() is None
            assert len(set(z.namelist())) == len(z.namelist())
            return {name: z.read(name) for name in z.namelist()}

    def manifest(self, name="m.mar"):
        return json.loads(self.contents(name)["MAR-INF/MANIFEST.json"])

    def names(self, name="m.mar"):
        return sorted(set(self.contents(name)) - {"MAR-INF/MANIFEST.json"})

    def leftovers(self):
        return [p.name for p in self.root.iterdir() if "partial" in p.name]


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    assert made.leftovers() == []


# ---- what is packed ----

def test_everything(bench):
    code, output, complaints = bench.run(
        "--model-name", "dog-breed_v1.2", "--version", "2.0", "--handler", "h.py",
        "--serialized-file", "weights.pt", "--model-file", bench.root / "net.py",
        "--extra-files", "extra,other.py", "--requirements-file", "requirements.txt",
        "--config-file", "conf/model-config.yaml", "--runtime", "python3")
    assert (code, output, complaints) == (0, "", "")
    archive = "dog-breed_v1.2.mar"
    manifest = bench.manifest(archive)
    assert list(manifest) == ["createdOn", "runtime", "model", "archiverVersion"]
    assert manifest["runtime"] == "python3"
    assert manifest["archiverVersion"] == "0.12.0"
    assert list(manifest["model"].items()) == [
        ("modelName", "dog-breed_v1.2"), ("serializedFile", "weights.pt"), ("handler", "h.py"),
        ("modelFile", "net.py"), ("modelVersion", "2.0"),
        ("requirementsFile", "requirements.txt"), ("configFile", "model-config.yaml")]
    assert bench.names(archive) == [
        ".hidden", "deep/vocabulary.txt", "h.py", "index.json", "model-config.yaml", "net.py",
        "other.py", "requirements.txt", "weights.pt"]
    assert bench.contents(archive)["weights.pt"] == (bench.root / "weights.pt").read_bytes()


@pytest.mark.parametrize("form", FORMATS)
def test_formats(bench, form):
    bench.pack("--archive-format", form, "--serialized-file", "weights.pt", "--extra-files",
               "extra")
    prefix = "m/" if form == "tgz" else ""
    expected = {"MAR-INF/MANIFEST.json", ".hidden", "deep/vocabulary.txt", "index.json",
                "weights.pt"}
    contents = bench.contents(FORMATS[form])
    assert set(contents) == {prefix + name for name in expected}
    assert contents[prefix + "weights.pt"] == (bench.root / "weights.pt").read_bytes()


def test_stored_files_can_be_read_as_a_stream(bench):
    """TorchServe reads so: sizes and checksums stand before the files, not behind them."""
    bench.pack("--archive-format", "zip-store", "--serialized-file", "weights.pt")
    with zipfile.ZipFile(bench.root / "m.mar") as z:
        for info in z.infolist():
            assert (info.compress_type, info.flag_bits & 8) == (zipfile.ZIP_STORED, 0)
            z.fp.seek(info.header_offset + 14)
            assert int.from_bytes(z.fp.read(4), "little") == info.CRC


@pytest.mark.parametrize("handler,file,entry", [
    ("h.py", "h.py", "h.py"), ("h", "h.py", "h"), ("other.py:run", "other.py", "other.py:run"),
    ("other:run", "other.py", "other:run"), ("./h.py", "h.py", "h.py"),
    ("image_classifier", None, "image_classifier"), ("vllm_handler", None, "vllm_handler")])
def test_handlers(bench, handler, file, entry):
    code, _, complaints = bench.run("--model-name", "m", "--version", "1", "--handler", handler)
    assert (code, complaints) == (0, "")
    assert bench.names() == ([file] if file else [])
    assert bench.manifest()["model"] == {"modelName": "m", "handler": entry, "modelVersion": "1"}


def test_native_handlers(bench):
    bench.put("libmine.so", "x")
    code, _, complaints = bench.run("--model-name", "m", "--version", "1", "--runtime", "LSP",
                                    "--handler", "libmine:Mine")
    assert (code, complaints) == (0, "")
    assert bench.names() == ["libmine.so"]
    assert bench.run("--model-name", "n", "--version", "1", "--runtime", "LSP",
                     "--handler", "TorchScriptHandler")[0] == 0
    assert bench.names("n.mar") == []


def test_models_that_an_engine_runs(bench):
    """They have no handler, and cannot do without their file."""
    native = "--model-name", "m", "--version", "1", "--runtime", "native"
    model = "--serialized-file", "weights.pt"
    assert bench.run(*native, *model, "--extra-files", "extra/index.json")[::2] == (0, "")
    assert bench.names() == ["index.json", "weights.pt"]
    assert bench.manifest()["runtime"] == "native"
    assert bench.manifest()["model"] == {"modelName": "m", "serializedFile": "weights.pt",
                                         "modelVersion": "1"}
    assert bench.run(*native, "-f")[::2] == (
        1, "ERROR - Runtime native: it needs --serialized-file, the model that an engine runs\n")
    assert bench.run(*native, *model, "-f", "--handler", "h.py")[::2] == (
        1, "ERROR - Runtime native: an engine runs the model, and no handler: "
        "leave --handler out\n")


@pytest.mark.parametrize("extra,names", [
    ("extra/index.json", ["index.json"]),
    ("extra/index.json, net.py,", ["index.json", "net.py"]),
    ("*.py", ["h.py", "net.py", "other.py"]),
    ("[hn]*.py,conf", ["h.py", "model-config.yaml", "net.py"]),
    ("extra/[id]*", ["index.json", "vocabulary.txt"]),
    ("extra/", [".hidden", "deep/vocabulary.txt", "index.json"]),
    ("näme.txt", ["näme.txt"]),
    ("odd[1].txt", ["odd[1].txt"])])
def test_extra_files(bench, extra, names):
    bench.put("näme.txt", "x")
    bench.put("odd[1].txt", "x")
    for form in ("default", "zip-store", "tgz"):
        bench.pack("--extra-files", extra, "--archive-format", form, "--export-path", "extra/deep",
                   environment={"LC_ALL": "C"})
        prefix = "m/" if form == "tgz" else ""
        path = bench.root / "extra/deep" / FORMATS[form]
        assert sorted(bench.contents(path)) == sorted(
            prefix + name for name in [*names, "MAR-INF/MANIFEST.json"])
        path.unlink()


def test_a_pattern_without_files_is_a_warning(bench):
    assert bench.run(*REQUIRED, "--extra-files", "*.nothing") == (
        0, "", "WARNING - Given wildcard pattern did not match any file: *.nothing\n")


def test_of_two_files_with_one_name_the_later_is_packed(bench):
    bench.put("one/a.txt", "1")
    bench.put("two/a.txt", "2")
    code, _, complaints = bench.run(*REQUIRED, "--extra-files", "one,two")
    assert (code, complaints) == (
        0, "WARNING - Two files are called a.txt: one/a.txt is left out for two/a.txt\n")
    assert bench.contents()["a.txt"] == b"2"


def test_a_manifest_among_the_files_gives_way(bench):
    bench.put("old/MAR-INF/MANIFEST.json", "{}")
    bench.pack("--extra-files", "old")
    assert bench.manifest()["model"]["modelName"] == "m"


# ---- the command line ----

def test_flags_as_argparse_takes_them(bench):
    code, output, complaints = bench.run(
        "--model-n=m", "-v1.5", "--hand", "h", "-rrequirements.txt", "--archive-f=zip-store", "-c",
        "conf/model-config.yaml")
    assert (code, output, complaints) == (0, "", "")
    assert bench.manifest()["model"]["modelVersion"] == "1.5"
    code, _, complaints = bench.run("--model-n=m", "-fv", "2", "--handler=h")
    assert (code, complaints) == (0, f"WARNING - Overwriting {bench.root}/m.mar ...\n")
    assert bench.manifest()["model"]["modelVersion"] == "2"


@pytest.mark.parametrize("arguments,message", [
    ([], "the following arguments are required: --model-name, --handler, -v/--version"),
    (["--model-name", "m", "-v", "1"], "the following arguments are required: --handler"),
    (["--model-name"], "argument --model-name: expected one argument"),
    (["--model-name", "--handler", "h"], "argument --model-name: expected one argument"),
    (["-v"], "argument -v/--version: expected one argument"),
    (["--model", "m"],
     "ambiguous option: --model could match --model-name, --model-file"),
    ([*REQUIRED, "--runtime", "java"], "argument --runtime: invalid choice: 'java' "
     "(choose from 'python', 'python3', 'LSP', 'native')"),
    ([*REQUIRED, "--archive-format", "rar"], "argument --archive-format: invalid choice: 'rar' "
     "(choose from 'tgz', 'no-archive', 'zip-store', 'default')"),
    ([*REQUIRED, "--force=yes"], "argument -f/--force: ignored explicit argument 'yes'"),
    ([*REQUIRED, "--fast", "and", "loose"], "unrecognized arguments: --fast and loose")])
@pytest.mark.parametrize("command", [("torch-model-archiver",), ("sconce", "archive")])
def test_wrong_usage(bench, arguments, message, command):
    code, output, complaints = bench.run(*arguments, command=command)
    assert (code, output) == (2, "")
    assert complaints.startswith("usage: torch-model-archiver [-h] ")
    assert f"\ntorch-model-archiver: error: {message}\n" in complaints


def test_help(bench):
    for command in (("torch-model-archiver",), ("sconce", "archive")):
        code, output, complaints = bench.run("--help", command=command)
        assert (code, complaints) == (0, "")
        for flag in ("--model-name", "--serialized-file", "--model-file", "--handler",
                     "--extra-files", "--runtime", "--export-path", "--archive-format",
                     "-f, --force", "-v, --version", "-r, --requirements-file",
                     "-c, --config-file"):
            assert f"\n  {flag}" in output
        assert max(map(len, output.splitlines())) <= 80


# ---- what is refused ----

@pytest.mark.parametrize("name", ["", "-m=", "a b", "a/b", "_m", "ü", "a?"])
def test_names_of_models(bench, name):
    assert bench.run(f"--model-name={name}", *REQUIRED[2:]) == (
        1, "", "ERROR - Model name contains special characters.\nThe allowed regular expression "
        "filter for model name is: ^[A-Za-z0-9][A-Za-z0-9_\\-.]*$\n")


@pytest.mark.parametrize("flag", ["--serialized-file", "--model-file", "--requirements-file",
                                  "--config-file"])
def test_files_that_cannot_be_packed(bench, flag):
    assert bench.run(*REQUIRED, flag, "none") == (
        1, "", "ERROR - Given file none cannot be packed: No such file or directory\n")
    assert bench.run(*REQUIRED, flag, "conf") == (
        1, "", "ERROR - Given file conf cannot be packed: it is not a file\n")
    assert not (bench.root / "m.mar").exists()


def test_a_handler_that_is_not_there(bench):
    assert bench.run("--model-name", "m", "--version", "1", "--handler", "none:run") == (
        1, "", "ERROR - Given file none.py cannot be packed: No such file or directory\n")
    assert bench.run("--model-name", "m", "--version", "1", "--handler", "image_clasifier") == (
        1, "", "ERROR - Given file image_clasifier.py cannot be packed: No such file or directory\n"
        "Did you mean the handler image_classifier, which servers have?\n")


def test_extra_files_that_are_not_there(bench):
    assert bench.run(*REQUIRED, "--extra-files", "net.py,none") == (
        1, "", "ERROR - File does not exist: none\n")
    os.mkfifo(bench.root / "extra" / "pipe")
    assert bench.run(*REQUIRED, "--extra-files", "extra") == (
        1, "", "ERROR - Given file extra/pipe cannot be packed: it is neither a file nor a "
        "folder\n")


@pytest.mark.parametrize("name", [b"a\x1b[2Jb", b"a\xc2\x9b2Jb", b"a\x9b2Jb"])
def test_names_of_files_do_not_reach_a_terminal_as_they_are(bench, name):
    path = os.path.join(os.fsencode(bench.root), name)
    os.mkfifo(path)
    done = subprocess.run([BIN / "torch-model-archiver", *REQUIRED, "--extra-files", path],
                          cwd=bench.root, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"cannot be packed: it is not a file" in done.stderr
    assert b"\x1b" not in done.stderr and b"\x9b" not in done.stderr


def test_folders_that_hold_themselves(bench):
    (bench.root / "extra" / "again").symlink_to(bench.root / "extra")
    code, _, complaints = bench.run(*REQUIRED, "--extra-files", "extra")
    assert code == 1
    assert "cannot be packed: " in complaints


def test_a_file_and_a_folder_with_one_name(bench):
    bench.put("one/a", "file")
    bench.put("two/a/b", "in a folder")
    assert bench.run(*REQUIRED, "--extra-files", "one,two") == (
        1, "", "ERROR - Given file two/a/b cannot be packed: another file has the name of its "
        "folder\n")


def test_export_path(bench):
    bench.pack("--export-path", "conf")
    assert bench.names("conf/m.mar") == []
    assert bench.run(*REQUIRED, "--export-path", "none") == (
        1, "", "ERROR - Given export-path none is not a directory. Point to a valid export-path "
        "directory.\n")


@pytest.mark.parametrize("form", FORMATS)
def test_force(bench, form):
    target = bench.root / FORMATS[form]
    bench.pack("--archive-format", form, "--extra-files", "net.py")
    before = bench.contents(FORMATS[form])
    code, output, complaints = bench.run(*REQUIRED, "--archive-format", form)
    assert (code, output, complaints) == (
        1, "", f"ERROR - {target} already exists.\nPlease specify --force/-f option to overwrite "
        "the model archive output file.\nSee -h/--help for more details.\n")
    assert bench.contents(FORMATS[form]) == before
    code, output, complaints = bench.run(*REQUIRED, "--archive-format", form, "-f")
    assert (code, output, complaints) == (0, "", f"WARNING - Overwriting {target} ...\n")
    assert len(bench.contents(FORMATS[form])) == 1


def test_force_spares_folders_that_are_no_archives(bench):
    bench.put("m/precious", "")
    code, _, complaints = bench.run(*REQUIRED, "--archive-format", "no-archive", "-f")
    assert code == 1
    assert "without MAR-INF/MANIFEST.json, so it is no archive and is not replaced" in complaints
    assert (bench.root / "m" / "precious").exists()


# ---- how it is written ----

@pytest.mark.parametrize("form", ["default", "zip-store", "tgz"])
def test_same_files_make_same_bytes(bench, form):
    digests = set()
    for zone, mask in (("UTC", 0o022), ("Pacific/Honolulu", 0o077), ("Asia/Tokyo", 0o002)):
        os.utime(bench.root / "h.py", (len(zone) * 10**8,) * 2)
        (bench.root / "h.py").chmod(0o600 | mask)
        code, _, _ = bench.run(*REQUIRED, "--extra-files", "extra,h.py", "--archive-format", form,
                               "-f", environment={"SOURCE_DATE_EPOCH": "1700000000", "TZ": zone})
        assert code == 0
        digests.add(hashlib.sha256((bench.root / FORMATS[form]).read_bytes()).hexdigest())
    assert len(digests) == 1
    prefix = "m/" if form == "tgz" else ""
    manifest = json.loads(bench.contents(FORMATS[form])[prefix + "MAR-INF/MANIFEST.json"])
    assert manifest["createdOn"] == "14/11/2023 22:13:20"


@pytest.mark.parametrize("form", ["default", "no-archive"])
def test_interrupted(bench, form):
    """Half an archive is never left behind, and the one that was there stays."""
    bench.pack("--archive-format", form)
    before = bench.contents(FORMATS[form])
    with open(bench.put("huge.bin", ""), "r+b") as huge:
        huge.truncate(1 << 36)
    process = subprocess.Popen(
        [BIN / "torch-model-archiver", *REQUIRED, "--extra-files", "huge.bin", "-f",
         "--archive-format", form], cwd=bench.root, stderr=subprocess.PIPE, text=True)
    eventually(bench.leftovers, "it has begun to write")
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM
    assert "huge.bin: interrupted\n" in complaints
    assert bench.contents(FORMATS[form]) == before


def test_a_full_disk(bench):
    """The limit on sizes of files stands for the disk."""
    command = ["sh", "-c", 'trap "" XFSZ; ulimit -f 64; exec "$@"', "sh",
               BIN / "torch-model-archiver", *REQUIRED, "--serialized-file", "weights.pt"]
    done = subprocess.run(command, cwd=bench.root, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR - ") and "File too large" in done.stderr
    assert not (bench.root / "m.mar").exists()


# ---- served ----

@pytest.fixture(scope="module")
def server(module_serve):
    return module_serve(load_models=None)


@pytest.mark.parametrize("form", FORMATS)
def test_served(bench, server, form):
    name = f"made-{form}"
    bench.put("conf/model-config.yaml", "batchSize: 3\n")
    code, _, complaints = bench.run(
        "--model-name", name, "--version", "1.0", "--handler", "h:handle", "--extra-files",
        "extra", "-c", "conf/model-config.yaml", "--archive-format", form, "--export-path",
        server.store)
    assert (code, complaints) == (0, "")
    file = name + FORMATS[form].removeprefix("m")
    response = server.register(Path(file), initial_workers=1, synchronous=True)
    assert response.status_code == 200, response.text
    assert server.predict(name, b"hello").content == b"hello"
    assert server.describe(name)[0]["batchSize"] == 3
    assert server.manage("DELETE", f"/models/{name}").status_code == 200
