# SPDX-License-Identifier: Apache-2.0
"""`sconce pull`: a model store as lists say, or as it was."""

import fcntl
import hashlib
import hmac
import os
import re
import subprocess

import pytest

from e2e.file_server import FileServer
from e2e.server import BIN, eventually

FILES = {"cat.mar": b"a cat" * 40_000, "dog.mar": b"a dog"}
SUMS = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}


@pytest.fixture
def files():
    with FileServer(dict(FILES)) as server:
        yield server


def pull(store, *words, **environment):
    return subprocess.run([BIN / "sconce", "pull", "--into", store, *map(str, words)],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={**os.environ, **environment})


def a_list(folder, *lines, name="models.list"):
    path = folder / name
    path.write_text("\n".join(("# name sha256 url", "", *lines)) + "\n")
    return path


def listed(store):
    return sorted(path.name for path in store.iterdir())


def test_what_is_missing_is_fetched_once(files, tmp_path):
    store = tmp_path / "new" / "store"
    first = a_list(tmp_path, f"cat.mar {SUMS['cat.mar']} {files.url('plain/cat.mar')}")
    more = f"dog.mar\t{SUMS['dog.mar'].upper()}  {files.url('to/plain/dog.mar')}"
    second = a_list(tmp_path, more, name="more.list")
    done = pull(store, first, second)
    assert (done.returncode, done.stdout) == (0, "cat.mar: fetched\ndog.mar: fetched\n")
    assert {name: (store / name).read_bytes() for name in listed(store)} == FILES
    asked = len(files.requests)
    done = pull(store, first, second)
    assert (done.returncode, done.stdout) == (0, "cat.mar: is there\ndog.mar: is there\n")
    assert len(files.requests) == asked


def test_a_wrong_checksum_leaves_the_store_as_it_was(files, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    (store / "dog.mar").write_bytes(b"an old dog")
    models = a_list(
        tmp_path, f"cat.mar {SUMS['cat.mar']} {files.url('plain/cat.mar')}",
        f"dog.mar {SUMS['cat.mar']} {files.url('plain/dog.mar?signature=secret')}")
    done = pull(store, models)
    assert done.returncode == 1
    assert done.stderr == (
        f"dog.mar: what {files.url('plain/dog.mar')} has is not what was wanted: its SHA-256 is "
        f"{SUMS['dog.mar']}, not {SUMS['cat.mar']} ({models}:4)\n")
    assert listed(store) == ["dog.mar"]
    assert (store / "dog.mar").read_bytes() == b"an old dog"


def test_what_has_changed_is_replaced(files, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    (store / "dog.mar").write_bytes(b"an old dog")
    (store / "old.mar").write_bytes(b"of yesterday")
    (store / "folder").mkdir()
    (store / ".hidden").write_text("x")
    models = a_list(tmp_path, f"dog.mar {SUMS['dog.mar']} {files.url('breaks/dog.mar')}")
    assert pull(store, models).returncode == 0
    assert listed(store) == [".hidden", "dog.mar", "folder", "old.mar"]
    assert (store / "dog.mar").read_bytes() == FILES["dog.mar"]
    assert pull(store, "--prune", models).stdout == "dog.mar: is there\nold.mar: removed\n"
    assert listed(store) == [".hidden", "dog.mar", "folder"]


def test_what_cannot_be_removed_is_told(files, tmp_path):
    """Nobody removes what something is mounted on."""
    store = tmp_path / "store"
    store.mkdir()
    for name in ("a.mar", "old.mar", "z.mar"):
        (store / name).write_bytes(b"old")
    models = a_list(tmp_path, f"dog.mar {SUMS['dog.mar']} {files.url('plain/dog.mar')}")
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*inside, "true"], check=False).returncode:
        pytest.skip("there are no namespaces for users here")
    done = subprocess.run(
        [*inside, "sh", "-c", 'mount --bind "$1" "$1" && exec "$2" pull --prune --into "$3" "$4"',
         "sh", store / "old.mar", BIN / "sconce", store, models],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == "old.mar: cannot be removed: Device or resource busy\n"
    assert sorted(done.stdout.splitlines()) == ["a.mar: removed", "dog.mar: fetched",
                                                "z.mar: removed"]
    assert listed(store) == ["dog.mar", "old.mar"]


def test_a_folder_in_the_place_of_a_file_leaves_the_store_as_it_was(files, tmp_path):
    store = tmp_path / "store"
    (store / "dog.mar").mkdir(parents=True)
    models = a_list(tmp_path, *(f"{name} {SUMS[name]} {files.url('plain/' + name)}"
                                for name in FILES))
    done = pull(store, models)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "dog.mar: a folder of this name is in its place\n"
    assert listed(store) == ["dog.mar"]


def test_what_one_that_was_killed_has_fetched_goes(files, tmp_path):
    """Not while another still needs it."""
    store = tmp_path / "store"
    plain, late = (f"{name} {SUMS[name]} {files.url(how + name)}"
                   for how, name in (("plain/", "dog.mar"), ("stalls/", "cat.mar")))
    with subprocess.Popen([BIN / "sconce", "pull", "--into", store, a_list(tmp_path, plain, late)],
                          stdout=subprocess.DEVNULL) as first:
        eventually(lambda: any("stalls" in path for path, _ in files.requests))
        left = [name for name in listed(store) if name.startswith(".sconce-pull-")]
        assert len(left) == 1
        assert pull(store, a_list(tmp_path, plain, name="two.list")).returncode == 0
        assert set(left) < set(listed(store))
        first.kill()
    assert pull(store, a_list(tmp_path, plain, name="two.list")).returncode == 0
    assert listed(store) == ["dog.mar"]


def test_a_caller_that_keeps_others_out_of_the_store(files, tmp_path):
    """As `flock STORE sconce pull` in a crontab does."""
    models = a_list(tmp_path, f"dog.mar {SUMS['dog.mar']} {files.url('plain/dog.mar')}")
    store = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(store, fcntl.LOCK_EX)
    try:
        assert pull(tmp_path, models).returncode == 0
    finally:
        os.close(store)


@pytest.mark.parametrize("path, cause", [
    ("missing/cat.mar", ". The server answered 404"),
    ("away/cat.mar", " does not match any allowed URL(s)"),
])
def test_what_cannot_be_fetched(files, tmp_path, path, cause):
    store = tmp_path / "store"
    url = files.url(path)
    allowed = files.url("missing/.*") + "," + files.url("away/.*")
    models = a_list(tmp_path, f"cat.mar {SUMS['cat.mar']} {url}?signature=secret")
    done = pull(store, "--allowed", allowed, models)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"cat.mar: cannot be fetched from {url}") and cause in done.stderr
    assert "secret" not in done.stderr
    assert listed(store) == []


@pytest.mark.parametrize("line, fault", [
    ("../cat.mar " + "0" * 64 + " http://x/", "'../cat.mar' is no name of a file"),
    (".cat.mar " + "0" * 64 + " http://x/", "'.cat.mar' is no name of a file"),
    ("cat.mar 0123 http://x/", "'cat.mar' has no SHA-256 of 64 hexadecimal digits"),
    ("cat.mar " + "0" * 64, "'cat.mar' has no address http://…, https://…"),
    ("cat.mar " + "0" * 64 + " file:///etc/passwd", "'cat.mar' has no address"),
    ("cat.mar " + "0" * 64 + " http://x/ y", "'cat.mar' has more than"),
    ("dog.mar " + "0" * 64 + " http://x/", "'dog.mar' is there twice"),
])
def test_lists_that_are_refused(files, tmp_path, line, fault):
    """Before anything is fetched."""
    models = a_list(tmp_path, f"dog.mar {SUMS['dog.mar']} {files.url('plain/dog.mar')}", line)
    done = pull(tmp_path / "store", models)
    assert done.returncode == 2
    assert done.stderr.startswith(f"sconce pull: {models}:4: {fault}"), done.stderr
    assert not files.requests


def test_usage(tmp_path):
    assert "none.list cannot be read: No such file" in pull(tmp_path, tmp_path / "none.list").stderr
    models = a_list(tmp_path)
    late = pull(tmp_path, "--limit", "soon", models)
    assert "--limit soon is no number of seconds" in late.stderr
    assert pull(tmp_path, models).returncode == 0


# ---- stores that speak as S3 does ----

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a/secret+of=mine",
        "AWS_REGION": "eu-central-1"}


def hmac256(key, text):
    return hmac.new(key, text.encode(), "sha256").digest()


def signature_of(path, headers, secret, credential, names):
    """As Signature Version 4 has it, from what arrived."""
    lower = {name.lower(): value for name, value in headers.items()}
    request = "\n".join(["GET", path, "", *(f"{name}:{lower[name]}" for name in names), "",
                         ";".join(names), lower["x-amz-content-sha256"]])
    day, region, service, end = credential.split("/")[1:]
    text = "\n".join(["AWS4-HMAC-SHA256", lower["x-amz-date"],
                      "/".join([day, region, service, end]),
                      hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, end):
        key = hmac256(key, part)
    return hmac256(key, text).hex()


def is_signed(path, headers, keys):
    said = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), "
                        r"Signature=([0-9a-f]{64})", headers.get("Authorization", ""))
    if not said:
        return False
    credential, names, signature = said.groups()
    assert credential.startswith(keys["AWS_ACCESS_KEY_ID"] + "/")
    assert credential.endswith(f"/{keys['AWS_REGION']}/s3/aws4_request")
    assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names.split(";"))
    return signature == signature_of(path, headers, keys["AWS_SECRET_ACCESS_KEY"], credential,
                                     names.split(";"))


@pytest.mark.parametrize("more", [{}, {"AWS_SESSION_TOKEN": "it/ends+soon=="}])
def test_requests_to_s3_are_signed(files, tmp_path, more):
    """The bucket is called `plain`, so the server sends the file as it is."""
    keys = {**KEYS, "AWS_ENDPOINT_URL_S3": files.url("").rstrip("/"), **more}
    models = a_list(tmp_path, f"cat.mar {SUMS['cat.mar']} s3://plain/of=2024/a+b~c/cat.mar",
                    f"dog.mar {SUMS['dog.mar']} {files.url('plain/dog.mar')}")
    done = pull(tmp_path / "store", models, **keys)
    assert (done.returncode, done.stderr) == (0, "")
    (path, headers), (_, plain) = files.requests
    assert path == "/plain/of%3D2024/a%2Bb~c/cat.mar" and is_signed(path, headers, keys)
    assert headers.get("x-amz-security-token") == more.get("AWS_SESSION_TOKEN")
    assert "Authorization" not in plain and "x-amz-date" not in plain


def test_a_download_from_s3_is_taken_up_again(files, tmp_path):
    keys = {**KEYS, "AWS_ENDPOINT_URL": files.url("")}
    done = pull(tmp_path / "store",
                a_list(tmp_path, f"cat.mar {SUMS['cat.mar']} s3://breaks/cat.mar"), **keys)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(files.requests) > 1
    assert all(is_signed(*request, keys) for request in files.requests)


def test_signatures_go_to_nobody_else(files, tmp_path):
    keys = {**KEYS, "AWS_ENDPOINT_URL": files.url("")}
    done = pull(tmp_path / "store",
                a_list(tmp_path, f"dog.mar {SUMS['dog.mar']} s3://to/plain/dog.mar"), **keys)
    assert done.returncode == 0, done.stderr
    assert ["Authorization" in headers for _, headers in files.requests] == [True, False]


def test_s3_without_keys_and_what_it_does_not_have(files, tmp_path):
    models = a_list(tmp_path, f"dog.mar {SUMS['dog.mar']} s3://missing/dog.mar")
    done = pull(tmp_path / "store", models, AWS_ENDPOINT_URL=files.url(""))
    assert done.returncode == 1
    assert done.stderr == ("dog.mar: cannot be fetched from s3://missing/dog.mar. The server "
                           "answered 404\n")
    assert "Authorization" not in files.requests[0][1]
    assert pull(tmp_path / "store", a_list(tmp_path, f"x {SUMS['dog.mar']} s3://bucket")
                ).returncode == 2
