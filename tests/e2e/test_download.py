# SPDX-License-Identifier: Apache-2.0
"""Registering archives from http URLs: what is allowed, what goes wrong, and what is left of it."""

import pytest

from e2e.archives import make_mar
from e2e.client import Raw, encode
from e2e.file_server import FileServer
from e2e.gate import background
from e2e.server import assert_error, eventually

NOT_FOUND, FAILED = "ModelNotFoundException", "DownloadArchiveException"


@pytest.fixture(scope="module")
def files(module_tmp):
    far = module_tmp / "far"
    names = ("echo.mar", "other.mar")
    data = {n: make_mar(far, n[:-4], "echo.py", files={"w": bytes(range(256)) * 400}).read_bytes()
            for n in names}
    data["broken.mar"] = make_mar(far, "broken", "bad_init.py").read_bytes()
    with FileServer({**data, "bad.mar": b"this is no archive"}) as server:
        yield server


@pytest.fixture(scope="module")
def server(module_serve, module_tmp, files):
    (module_tmp / "store").mkdir()
    return module_serve(store=module_tmp / "store", default_workers_per_model=0,
                        allowed_urls=files.url("(plain/([^f].*)?|[^p].*)"),
                        max_archive_size=2_000_000, download_stall_timeout=1)


@pytest.fixture(autouse=True)
def clean(request):
    """Nothing of a test's downloads stays, whatever came of them."""
    yield
    if "server" in request.fixturenames:
        server = request.getfixturevalue("server")
        for name in server.models():
            assert server.manage("DELETE", f"/models/{name}").status_code == 200
        eventually(lambda: list(server.store.iterdir()) == [],
                   lambda: list(server.store.iterdir()))


def works(server, url, **parameters):
    response = server.register(url, initial_workers=1, **parameters)
    assert response.status_code == 200, response.text
    name = server.models()[0]
    assert server.predict(name, "hello").text == "hello"
    return name


def test_an_archive_is_kept_in_the_store_while_it_is_registered(server, files):
    url = files.url("plain/echo.mar?signature=a/b")
    works(server, url)
    assert [p.name for p in server.store.iterdir()] == ["echo.mar"]
    assert server.describe("echo")[0]["modelUrl"] == url
    assert server.manage("DELETE", "/models/echo").status_code == 200
    eventually(lambda: list(server.store.iterdir()) == [])


def test_asynchronous(server, files):
    response = server.register(files.url("plain/echo.mar"), initial_workers=1, synchronous="false")
    assert (response.status_code, response.json()) == (
        202, {"status": "Processing worker updates..."})
    eventually(lambda: server.model_ready("echo"))


def test_a_name_that_is_taken(server, files):
    works(server, files.url("plain/echo.mar"))
    del files.requests[:]
    assert_error(server.register(files.url("plain/echo.mar"), model_name="again"), 500,
                 "InternalServerException", "Model file already exists echo.mar")
    assert (server.store / "echo.mar").exists()
    assert files.requests == []


def test_the_same_url_twice_at_once(server, files):
    calls = [background(server.register, files.url("plain/echo.mar")) for _ in range(4)]
    codes = sorted(c.result().status_code for c in calls)
    assert codes == [200, 500, 500, 500]
    assert server.models() == ["echo"]


def test_redirects_are_followed_where_they_are_allowed(server, files):
    works(server, files.url("to/to/plain/echo.mar"))


def test_the_page_of_a_redirect_is_not_waited_for(server, files):
    works(server, files.url("wordily/plain/echo.mar"))


@pytest.mark.parametrize("path,code,kind,message", [
    ("missing/echo.mar", 400, FAILED, "Failed to download archive from: {url}. "
     "The server answered 404"),
    ("wordy/echo.mar", 400, FAILED, "Failed to download archive from: {url}. "
     "The server answered 404"),
    ("round/echo.mar", 400, FAILED, "Failed to download archive from: {url}. "
     "The server answered 302"),
    ("short/echo.mar", 400, FAILED, "Failed to download archive from: {url}. "
     "Transferred a partial file"),
    ("unasked/echo.mar", 400, FAILED, "Failed to download archive from: {url}. The server sent "
     "another part than was asked for"),
    ("stalls/echo.mar", 400, FAILED, "Failed to download archive from: {url}. It took longer than "
     "download_timeout, download_stall_timeout and download_rate_min allow"),
    ("endless/echo.mar", 400, FAILED, "Failed to download archive from: {url}: it is larger than "
     "max_archive_size allows"),
    ("plain/", 400, FAILED, "Failed to download archive from: {url}: its path does not end with "
     "the name of a file"),
    ("plain/.echo.mar", 400, FAILED, "Failed to download archive from: {url}: its path does not "
     "end with the name of a file"),
    ("away/echo.mar", 404, NOT_FOUND, "Given URL {base}plain/forbidden/echo.mar does not match "
     "any allowed URL(s)"),
    ("file/echo.mar", 404, NOT_FOUND, "Given URL file:///etc/passwd does not match any allowed "
     "URL(s)"),
    ("to/../echo.mar", 404, NOT_FOUND, "Relative path is not allowed in url: {url}"),
])
def test_what_is_refused(server, files, path, code, kind, message):
    url = files.url(path)
    assert_error(server.register(url), code, kind, message.format(url=url, base=files.url("")))
    assert server.models() == []


def test_an_archive_that_is_none(server, files):
    response = server.register(files.url("plain/bad.mar"))
    assert (response.status_code, response.json()["type"]) == (400, "InvalidModelException")


def test_a_connection_that_breaks_is_taken_up_again(server, files):
    del files.requests[:]
    works(server, files.url("breaks/echo.mar"))
    assert [h.get("Range") is not None for _, h in files.requests] == [False, True]


def test_a_file_that_changes_meanwhile_is_fetched_from_its_beginning(server, files):
    del files.requests[:]
    works(server, files.url("changes/echo.mar"))


def test_what_failed_is_not_in_the_way_of_the_next_try(server, files):
    for _ in range(3):
        response = server.register(files.url("plain/bad.mar"))
        assert (response.status_code, response.json()["type"]) == (400, "InvalidModelException")
    for _ in range(3):
        assert_error(server.register(files.url("plain/broken.mar"), initial_workers=1), 500,
                     "InternalServerException",
                     "Failed to start workers for model broken version: 1.0. RuntimeError: the "
                     "weights are not where they should be (bad_init.py, line 7)")


@pytest.mark.parametrize("how,requests", [
    ("shifts", 3), ("hides", 3), ("swaps", 3), ("flaps", 3), ("caps", 3), ("ends", 2)])
def test_parts_are_what_was_asked_for(server, files, how, requests):
    """A part of another place or file begins anew; one that is too short is gone on with."""
    del files.requests[:]
    works(server, files.url(f"{how}/echo.mar"))
    assert len(files.requests) == requests
    assert (server.store / "echo.mar").read_bytes() == files.files["echo.mar"]


def test_s3_key_management(server, files):
    del files.requests[:]
    works(server, files.url("plain/echo.mar"), s3_sse_kms="true")
    assert files.requests[0][1]["x-amz-server-side-encryption"] == "aws:kms"


def test_nobody_answers(server, files):
    url = "http://127.0.0.1:1/echo.mar"
    assert_error(server.register(url), 404, NOT_FOUND,
                 f"Given URL {url} does not match any allowed URL(s)")


def test_where_nothing_is_allowed(serve, tmp_path, files):
    make_mar(tmp_path, "here", "echo.py")
    server = serve(store=tmp_path, load_models="", allowed_urls="")
    url = files.url("plain/echo.mar")
    assert_error(server.register(url), 404, NOT_FOUND,
                 f"Given URL {url} does not match any allowed URL(s)")
    assert server.register("here.mar").status_code == 200


class Stuck:
    """A client that registers what never comes."""

    def __init__(self, server, url):
        self.client = Raw(server.management)
        self.client.send(encode("POST", f"/models?url={url}"))

    def leave(self):
        self.client.close()


def parts(folder):
    return [p for p in folder.iterdir() if p.name.startswith(".sconce-download-")]


def test_local_archives_do_not_wait_for_downloads(serve, tmp_path, files):
    make_mar(tmp_path, "here", "echo.py")
    server = serve(store=tmp_path, load_models="")
    stuck = [Stuck(server, files.url(f"stalls/{i}/echo.mar")) for i in range(8)]
    eventually(lambda: len(parts(tmp_path)) > 2)
    assert server.register("here.mar", initial_workers=1).status_code == 200
    assert server.predict("here", "hello").text == "hello"
    # What nobody waits for makes room for others, and leaves nothing.
    for client in stuck:
        client.leave()
    works(server, files.url("plain/other.mar"), model_name="far")
    eventually(lambda: parts(tmp_path) == [], lambda: parts(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["here.mar", "other.mar"]


def test_registrations_in_progress_are_bounded(serve, tmp_path, files):
    make_mar(tmp_path, "here", "echo.py")
    server = serve(store=tmp_path, load_models="")
    stuck = [Stuck(server, files.url(f"stalls/{i}/echo.mar")) for i in range(256)]

    def coming():
        return len(server.manage("GET", "/models?registering=true").json()["registering"])

    eventually(lambda: coming() == 256, coming)
    assert_error(server.register("here.mar"), 503, "ServiceUnavailableException",
                 "256 models are being registered; try again when some of them are there")
    for client in stuck:
        client.leave()
    eventually(lambda: coming() == 0, coming)
    assert server.register("here.mar").status_code == 200


def test_a_download_that_trickles_is_given_up(serve, tmp_path, files):
    server = serve(store=tmp_path, load_models="", download_stall_timeout=1,
                   download_rate_min="10m")
    url = files.url("trickles/echo.mar")
    assert_error(server.register(url), 400, FAILED,
                 f"Failed to download archive from: {url}. It took longer than download_timeout, "
                 "download_stall_timeout and download_rate_min allow")


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_without_a_model_store_downloads_are_restored(serve, files, end):
    settings = {"model_store": None, "load_models": None, "no_config_snapshots": None}
    server = serve(**settings)
    works(server, files.url("plain/echo.mar"))
    getattr(server, end)()
    server = serve(root=server.root, wait=False, **settings)
    eventually(lambda: server.knows("echo"))
    assert server.predict("echo", "hello").text == "hello"


def test_stopping_ends_downloads(serve, tmp_path, files):
    server = serve(store=tmp_path, load_models="", drain_timeout=0)
    waiting = background(server.register, files.url("stalls/echo.mar"))
    eventually(lambda: list(tmp_path.iterdir()))
    server.stop()
    assert waiting.exception() or waiting.result().status_code == 503
    # Killed in the middle, a download cannot tidy up; the next start does.
    server = serve(store=tmp_path, load_models="")
    assert list(tmp_path.iterdir()) == []


def test_models_of_the_start_may_be_far_away(serve, tmp_path, files):
    url = files.url("plain/echo.mar")
    server = serve(store=tmp_path, load_models=f"near={url}")
    assert server.predict("near", "hello").text == "hello"
    server.stop()
    assert (tmp_path / "echo.mar").exists()
    # What is there already is not in the way of the next start.
    server = serve(store=tmp_path, load_models=f"near={url}")
    assert server.predict("near", "hello").text == "hello"
