# SPDX-License-Identifier: Apache-2.0
"""Archives in every shape that is allowed, and those that mean harm."""

import io
import os
import signal
import stat
import struct
import subprocess
import tarfile
import zipfile
from urllib.parse import quote

import pytest

from e2e.archives import HANDLERS, contents, make_folder, make_mar, make_tar, manifest
from e2e.gate import background
from e2e.server import BIN, assert_error, eventually, marked_processes

READS_FILES = '''
import os


def handle(data, context):
    if data is None:
        return None
    root = context.system_properties["model_dir"]
    found = {}
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, root)] = f.read().decode("latin-1")
    return [{"files": found, "cwd_is_dir": os.path.samefile(os.getcwd(), root),
             "yaml": context.model_yaml_config, "manifest": context.manifest} for _ in data]
'''


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    (module_tmp / "store").mkdir()
    return module_serve(store=module_tmp / "store", max_archive_size=20_000_000,
                        max_archive_entries=500, default_workers_per_model=0)


@pytest.fixture(autouse=True)
def nothing_stays(request):
    """What one test registered must not make the next ones fail."""
    yield
    server = request.getfixturevalue("server") if "server" in request.fixturenames else None
    for name in server.models() if server else ():
        server.manage("DELETE", f"/models/{name}")


def loaded(server, path, **parameters):
    """Registers, asks once, unregisters; returns the answer."""
    response = server.register(path.name, initial_workers=1, **parameters)
    assert response.status_code == 200, response.text
    name = parameters.get("model_name") or response.json()["status"].split('"')[1]
    try:
        return server.predict(name, b"hello")
    finally:
        assert server.manage("DELETE", f"/models/{name}").status_code == 200


def unpacked(server):
    return sorted(server.unpacked())


# ---- shapes ----

@pytest.mark.parametrize("file", ["shape.mar", "shape.model"])
def test_zip(server, file):
    assert loaded(server, make_mar(server.store, "shape", "echo.py", file=file)).text == "hello"


@pytest.mark.parametrize("file", ["shape.tar.gz", "shape.tgz"])
@pytest.mark.parametrize("prefix", [True, False])
def test_tar(server, file, prefix):
    path = make_tar(server.store, "shape", "echo.py", file=file, prefix=prefix)
    assert loaded(server, path).text == "hello"


def test_stored_zip(server):
    path = server.store / "stored.mar"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        for inner, data in contents("stored", "echo.py").items():
            z.writestr(inner, data)
    assert loaded(server, path).text == "hello"


@pytest.mark.parametrize("inside", ["", "wrapper"])
def test_folder(server, inside):
    path = make_folder(server.store, f"folder{len(inside)}", "echo.py", inside=inside)
    assert loaded(server, path).text == "hello"
    assert path.exists(), "a folder is served from where it lies and stays there"


def test_a_configuration_larger_than_a_frame(server):
    words = ", ".join(f'"word{i}"' for i in range(20_000))
    path = make_mar(server.store, "wordy", READS_FILES, config=f"words: [{words}]\n")
    assert loaded(server, path).json()["yaml"]["words"][-1] == "word19999"


def test_extra_files_and_nested_folders(server):
    path = make_mar(server.store, "extra", READS_FILES,
                    files={"index.json": "{}", "deep/er/file.bin": b"\x00\xff", "empty": b""})
    answer = loaded(server, path).json()
    assert answer["cwd_is_dir"] is True
    assert answer["files"]["index.json"] == "{}"
    assert answer["files"]["deep/er/file.bin"] == "\x00\xff"
    assert answer["files"]["empty"] == ""


def test_module_of_the_archive_can_be_imported(server):
    source = "import helper_of_mine\n\n\ndef handle(data, context):\n" \
             "    return [helper_of_mine.text for _ in data] if data is not None else None\n"
    path = make_mar(server.store, "helped", source,
                    files={"helper_of_mine.py": "text = 'helped'\n"})
    assert loaded(server, path).text == "helped"


def test_model_config_reaches_the_handler(server):
    config = "minWorkers: 1\nmaxWorkers: 1\nhandler:\n  threshold: 0.5\n  labels: [a, b]\n" \
             "  on: true\n  text: 'yes'\n"
    answer = loaded(server, make_mar(server.store, "config", READS_FILES, config=config)).json()
    assert answer["yaml"] == {"minWorkers": 1, "maxWorkers": 1, "handler": {
        "threshold": 0.5, "labels": ["a", "b"], "true": True, "text": "yes"}}    # a bool, as JSON


def test_manifest_reaches_the_handler(server):
    answer = loaded(server, make_mar(server.store, "told", READS_FILES, description="mine")).json()
    assert answer["manifest"]["model"]["modelName"] == "told"
    assert answer["manifest"]["model"]["description"] == "mine"
    assert answer["manifest"]["runtime"] == "python"


def test_all_shapes_are_loaded_at_start(serve, tmp_path):
    make_mar(tmp_path, "a", "echo.py")
    make_tar(tmp_path, "b", "echo.py")
    make_folder(tmp_path, "c", "echo.py")
    make_mar(tmp_path, "hidden", "echo.py", file=".hidden.mar")
    (tmp_path / "readme.txt").write_text("not a model")
    server = serve(store=tmp_path)
    assert server.models() == ["a", "b", "c"]


def test_a_bad_archive_at_start_does_not_stop_the_others(serve, tmp_path):
    make_mar(tmp_path, "good", "echo.py")
    (tmp_path / "bad.mar").write_bytes(b"this is no archive")
    server = serve(store=tmp_path, wait=False)
    eventually(lambda: "bad.mar" in server.console + server.log("ts_log.log"), timeout=20)
    eventually(lambda: server.alive() and _predicts(server, "good"))
    assert server.models() == ["good"]


def _predicts(server, name):
    import requests
    try:
        return server.predict(name, b"x").status_code == 200
    except requests.ConnectionError:
        return False


def test_names_from_load_models(serve, tmp_path):
    make_mar(tmp_path, "inner", "echo.py")
    server = serve(store=tmp_path, load_models="outer=inner.mar")
    assert server.models() == ["outer"]
    assert server.predict("outer", b"x").text == "x"


# ---- manifests ----

def zip_of(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for inner, data in entries.items():
            z.writestr(inner, data)
    return path


def refused(server, path, code=400, kind="InvalidModelException", **parameters):
    """Registers, must fail, must leave nothing; returns the message."""
    before = unpacked(server)
    response = server.register(path.name, **parameters)
    assert response.status_code == code, response.text
    error = response.json()
    assert error["type"] == kind and error["code"] == code
    assert server.models() == []
    eventually(lambda: unpacked(server) == before, "nothing of it is left")
    return error["message"]


def test_no_manifest_but_a_name(server):
    path = zip_of(server.store / "bare.mar", {"handler.py": (HANDLERS / "echo.py").read_text()})
    assert loaded(server, path, model_name="bare", handler="handler.py").text == "hello"


def test_no_manifest_and_no_name(server):
    path = zip_of(server.store / "nameless.mar", {"handler.py": "x = 1\n"})
    assert refused(server, path) == "Model name is not defined. There is no " \
        "MAR-INF/MANIFEST.json: pack it (sconce archive), or register it with model_name and " \
        "handler"


NO_MODEL = "Failed to parse signature.json. MAR-INF/MANIFEST.json: it must be an object, and its " \
    "model another"


@pytest.mark.parametrize("text,message", [
    ("{broken", "Failed to parse signature.json. MAR-INF/MANIFEST.json: no JSON: "),
    ("", "Failed to parse signature.json. MAR-INF/MANIFEST.json: no JSON: "),
    ("[]", NO_MODEL), ("\"text\"", NO_MODEL), ('{"model": 7}', NO_MODEL),
    ('{"runtime": "perl", "model": {"modelName": "m", "handler": "h"}}',
     "Runtime is not defined or invalid. MAR-INF/MANIFEST.json: runtime is \"perl\", and must be "
     "python, python3, LSP or native"),
    ('{"runtime": 3}', "Runtime is not defined or invalid. MAR-INF/MANIFEST.json: runtime is "
                       "\"3\", and must be python, python3, LSP or native"),
])
def test_bad_manifest(server, text, message):
    path = zip_of(server.store / "badmanifest.mar",
                  {"MAR-INF/MANIFEST.json": text, "h.py": "x = 1\n"})
    got = refused(server, path)
    assert got.startswith(message) and (message.endswith(": ") or got == message)


@pytest.mark.parametrize("name", ["../up", "a/b", "a\nb", "x" * 5000])
def test_hostile_model_name(server, name):
    path = zip_of(server.store / "badname.mar", {
        "MAR-INF/MANIFEST.json": manifest(name, "echo.py"),
        "echo.py": (HANDLERS / "echo.py").read_text()})
    response = server.register(path.name)
    if response.status_code == 200:     # then it is a name like any other, and harmless
        listed, = server.models()
        assert listed == name
        assert server.manage("DELETE", "/models/" + name.replace("/", "%2F").replace(
            "\n", "%0A").replace("..", "%2E%2E")).status_code == 200
    else:
        assert response.status_code == 400
    assert server.models() == []


@pytest.mark.parametrize("name", ["%ff", "a%0ab", "a%7f", "%C2%85", "a%2Fb", "x" * 257])
def test_a_name_that_is_no_text_is_refused(server, name):
    make_mar(server.store, "named", "echo.py")
    response = server.manage("POST", f"/models?url=named.mar&model_name={name}")
    assert_error(response, 400, "BadRequestException",
                 "The model's name must be UTF-8 of 1 to 256 bytes, without control characters and "
                 'without / " \\')
    assert server.models() == []


@pytest.mark.parametrize("name", ["bücher 日本.v-1_2", "x" * 256])
def test_a_name_that_is_text_is_a_name(server, name):
    make_mar(server.store, "named", "echo.py")
    assert server.register("named.mar", model_name=name, initial_workers=1).status_code == 200
    assert server.models() == [name]
    assert server.predict(quote(name), b"x").content == b"x"
    assert name in server.metrics_text()
    assert server.manage("DELETE", f"/models/{quote(name)}").status_code == 200


def test_bad_config_file(server):
    path = make_mar(server.store, "badyaml", "echo.py", config="a: [1, 2\nb: {")
    assert "model-config.yaml" in refused(server, path)


def test_yaml_bomb(server):
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join(['*a%d' % (i - 1)] * 9)}]" for i in range(1, 12)]
    path = make_mar(server.store, "laughs", "echo.py", config="\n".join(lines))
    assert refused(server, path)


def test_python_tags_of_yaml_are_not_run(server, tmp_path):
    trace = tmp_path / "trace"
    path = make_mar(server.store, "tagged", "echo.py",
                    config=f'x: !!python/object/apply:os.system ["touch {trace}"]\n')
    server.register(path.name, initial_workers=1)
    if server.models():
        server.manage("DELETE", "/models/tagged")
    assert not trace.exists()


# ---- harm ----

def hostile_zip(path, name, mode=None, data=b"evil"):
    with zipfile.ZipFile(path, "w") as z:
        for inner, text in contents("hostile", "echo.py").items():
            z.writestr(inner, text)
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        if mode:
            info.external_attr = mode << 16
        z.writestr(info, data)
    return path


def hostile_tar(path, info, data=b""):
    with tarfile.open(path, "w:gz") as t:
        for inner, text in contents("hostile", "echo.py").items():
            entry = tarfile.TarInfo(inner)
            entry.size = len(text)
            t.addfile(entry, io.BytesIO(text))
        info.size = len(data)
        t.addfile(info, io.BytesIO(data))
    return path


def tar_entry(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "../../../../../..{outside}/evil"])
def test_zip_slip(server, tmp_path, name):
    name = name.format(outside=tmp_path)
    assert refused(server, hostile_zip(server.store / "slip.mar", name))
    assert not list(server.root.rglob("evil*")) and not list(tmp_path.iterdir())


def test_absolute_path_in_zip(server, tmp_path):
    path = hostile_zip(server.store / "absolute.mar", str(tmp_path / "evil"))
    response = server.register(path.name)
    assert response.status_code in (200, 400)
    if response.status_code == 200:
        server.manage("DELETE", "/models/hostile")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../etc/passwd"])
def test_link_out_of_a_zip(server, target):
    path = hostile_zip(server.store / "link.mar", "link", stat.S_IFLNK | 0o777, target.encode())
    assert refused(server, path)


@pytest.mark.parametrize("info", [
    tar_entry("../evil"), tar_entry("hostile/../../evil"),
    tar_entry("link", tarfile.SYMTYPE, "/etc/passwd"),
    tar_entry("link", tarfile.SYMTYPE, "../../../etc/passwd"),
    tar_entry("hard", tarfile.LNKTYPE, "/etc/passwd"),
    tar_entry("device", tarfile.CHRTYPE), tar_entry("block", tarfile.BLKTYPE),
    tar_entry("pipe", tarfile.FIFOTYPE)], ids=lambda i: f"{i.name}-{i.linkname}")
def test_hostile_tar(server, info):
    assert refused(server, hostile_tar(server.store / "hostile.tar.gz", info))
    assert not list(server.root.rglob("evil*"))


def test_bomb_by_size(server):
    path = server.store / "bomb.mar"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for inner, data in contents("bomb", "echo.py").items():
            z.writestr(inner, data)
        for i in range(30):
            z.writestr(f"zeros{i}", bytes(1_000_000))
    assert "max_archive" in refused(server, path)


def test_bomb_by_number_of_entries(server):
    path = server.store / "many.mar"
    with zipfile.ZipFile(path, "w") as z:
        for inner, data in contents("many", "echo.py").items():
            z.writestr(inner, data)
        for i in range(600):
            z.writestr(f"f{i}", b"")
    assert "max_archive_entries" in refused(server, path)


def test_bomb_of_folders(server):
    path = server.store / "folders.mar"
    with zipfile.ZipFile(path, "w") as z:
        for inner, data in contents("folders", "echo.py").items():
            z.writestr(inner, data)
        for i in range(20):
            z.writestr("/".join([f"d{i}"] + ["d"] * 50 + ["f"]), b"")
    assert "max_archive_entries" in refused(server, path)


def test_of_two_files_with_one_name_the_later_is_taken(server):
    path = make_mar(server.store, "doubled", READS_FILES, files={"labels": "old"})
    with zipfile.ZipFile(path, "a") as z, pytest.warns(UserWarning, match="Duplicate name"):
        z.writestr("labels", "new")
    assert loaded(server, path).json()["files"]["labels"] == "new"


@pytest.mark.parametrize("locale", [{}, {"LANG": "C"}, {"LANG": "C.UTF-8"}, {"LC_ALL": "C"}],
                         ids=["none", "C", "UTF-8", "all-C"])
def test_names_need_no_locale(serve, tmp_path, locale):
    """The names of files in archives are UTF-8 whatever the server's environment says; DOS's are
    taken for what they were."""
    make_mar(tmp_path, "zip", READS_FILES, files={"étiquettes.txt": "é", "日本/本.txt": "本"})
    make_tar(tmp_path, "tar", READS_FILES, files={"étiquettes.txt": "é"})
    old = make_mar(tmp_path, "dos", READS_FILES, files={"Xtiquettes.txt": "é"})
    old.write_bytes(old.read_bytes().replace(b"Xtiquettes.txt", b"\x82tiquettes.txt"))
    cleared = {name: "" for name in ("LANG", "LC_ALL", "LC_CTYPE")}
    server = serve(store=tmp_path, environment={**cleared, **locale})
    for name in ("zip", "tar", "dos"):
        assert "étiquettes.txt" in server.predict(name, b"x").json()["files"], name
    assert "日本/本.txt" in server.predict("zip", b"x").json()["files"]


@pytest.mark.parametrize("file", ["MAR-INF/MANIFEST.json", "model-config.yaml"])
def test_folder_with_a_pipe(server, file):
    """Reading it would never end."""
    name = f"piped{len(file)}"
    path = make_folder(server.store, name, "echo.py", config="minWorkers: 1\n")
    (path / file).unlink()
    os.mkfifo(path / file)
    response = server.register(name)
    assert response.status_code == 400
    assert f"{file} cannot be read: it is a pipe or a device" in response.text
    assert server.models() == []


def test_folder_whose_handler_is_a_pipe(server):
    """The server looks into handlers for what they import; nobody else waits for this one."""
    path = make_folder(server.store, "hangs", "echo.py")
    (path / "echo.py").unlink()
    os.mkfifo(path / "echo.py")
    response = server.register("hangs", initial_workers=0)
    assert response.status_code == 200
    assert server.get("/ping").status_code == 200


def test_byte_order_mark_before_the_manifest(server):
    path = make_folder(server.store, "marked", "echo.py")
    file = path / "MAR-INF" / "MANIFEST.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert loaded(server, path).text == "hello"


def test_model_without_a_name_is_called_as_its_file(server):
    path = server.store / "no-name.mar"
    zip_of(path, {**contents("x", "echo.py"),
                  "MAR-INF/MANIFEST.json": manifest(None, "echo.py").encode()})
    assert loaded(server, path).text == "hello"


@pytest.mark.parametrize("data", [b"", b"garbage", bytes(1000), b"PK\x03\x04" + b"\xff" * 100,
                                  b"\x1f\x8b\x08" + b"\x00" * 50, b"PK\x05\x06" + bytes(18)])
@pytest.mark.parametrize("ending", ["mar", "tar.gz"])
def test_garbage(server, data, ending):
    path = server.store / f"garbage.{ending}"
    path.write_bytes(data)
    assert refused(server, path, model_name="garbage")


def test_truncated_archive(server):
    whole = make_mar(server.store, "cut", "echo.py", files={"weights": os.urandom(50000)})
    data = whole.read_bytes()
    for n in (len(data) // 2, len(data) // 10):
        whole.write_bytes(data[:n])
        assert refused(server, whole)


def test_flipped_bits_never_hurt(server):
    whole = make_mar(server.store, "flipped", "echo.py", files={"weights": os.urandom(2000)})
    data = bytearray(whole.read_bytes())
    for at in range(0, len(data), len(data) // 12):
        hurt = bytearray(data)
        hurt[at] ^= 0x41
        whole.write_bytes(hurt)
        response = server.register(whole.name)
        assert response.status_code in (200, 400), response.text
        for name in server.models():
            assert server.manage("DELETE", f"/models/{name}").status_code == 200


def test_requirements_are_not_installed_unless_allowed(server):
    path = make_mar(server.store, "needs", "echo.py", requirementsFile="requirements.txt",
                    files={"requirements.txt": "a-package-that-nobody-has==1.2.3\n"})
    assert loaded(server, path).text == "hello"


def test_unpacking_tells_how_far_it_is(tmp_path):
    mar = make_mar(tmp_path, "big", "echo.py", files={"w": os.urandom(5_000_000)})
    fd = os.memfd_create("progress", 0)
    done = subprocess.run([BIN / "sconce", "unpack", "--source", mar, "--into", tmp_path / "out",
                           "--progress", str(fd)], pass_fds=[fd], capture_output=True, check=True)
    assert b'"ok":true' in done.stdout
    read, total = struct.unpack("=QQ", os.pread(fd, 16, 0))
    os.close(fd)
    assert total == mar.stat().st_size
    assert total // 2 < read <= total


def unpackers(server):
    return [pid for pid, command in marked_processes(server.mark)
            if b" unpack --source " in command]


def test_an_unpacking_that_gets_no_further_is_given_up(serve, tmp_path):
    """As on a disk that hangs: its process is stopped as soon as it is seen."""
    make_mar(tmp_path, "large", "echo.py", files={f"data/{i}": b"x" for i in range(20000)})
    make_mar(tmp_path, "echo", "echo.py")
    server = serve(store=tmp_path, load_models=None, unpack_stall_timeout=1)
    answer = background(server.manage, "POST", "/models?url=large.mar&initial_workers=1")
    pid, = eventually(lambda: unpackers(server), "the archive is unpacked")
    os.kill(pid, signal.SIGSTOP)
    assert_error(answer.result(), 500, "InternalServerException",
                 "The archive could not be unpacked: nothing of it was read or written for 1 s "
                 "(unpack_stall_timeout). Do the disks of the archive and of tmp_dir answer?")
    assert not unpackers(server)
    eventually(lambda: not server.unpacked(), "what was unpacked is removed")
    assert server.manage("POST", "/models?url=echo.mar&initial_workers=1").status_code == 200


def test_an_unpacking_has_an_end(serve, tmp_path):
    make_mar(tmp_path, "large", "echo.py", files={f"data/{i}": b"x" for i in range(20000)})
    server = serve(store=tmp_path, load_models=None, unpack_timeout=1)
    answer = background(server.manage, "POST", "/models?url=large.mar&initial_workers=1")
    pid, = eventually(lambda: unpackers(server), "the archive is unpacked")
    os.kill(pid, signal.SIGSTOP)
    assert_error(answer.result(), 500, "InternalServerException",
                 "The archive could not be unpacked in 1 s (unpack_timeout)")
    eventually(lambda: not server.unpacked(), "what was unpacked is removed")
