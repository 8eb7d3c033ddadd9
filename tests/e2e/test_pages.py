# SPDX-License-Identifier: Apache-2.0
"""What a browser sees, and that programs see what TorchServe shows them."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest
import requests

from e2e.archives import make_mar
from e2e.server import PATIENCE, eventually

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


class Text(HTMLParser):
    """The words of a page, and what its elements refer to."""

    def __init__(self, page):
        super().__init__()
        self.words, self.links, self.open = [], [], []
        self.feed(page)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("href", "src")]
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def __str__(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    make_mar(store, "echo", "echo.py")
    make_mar(store, "echo", "echo.py", version="2.0", file="echo2.mar")
    return module_serve(store=store)


def page(server, path="/"):
    response = server.get(path, headers=BROWSER)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    return Text(response.text)


def test_the_page_tells_what_is_served_and_how_to_call_it(server):
    text = str(page(server))
    assert "Ready." in text
    assert re.search(r"echo 1\.0 .*1 of 1 ready", text)
    assert re.search(r"echo 2\.0 .*1 of 1 ready", text)
    assert f"curl -T photo.jpg http://127.0.0.1:{server.inference}/predictions/echo" in text


def test_every_link_leads_somewhere(server):
    for link in page(server).links + page(server, "/api-description").links:
        address = urljoin(f"http://127.0.0.1:{server.inference}/", link)
        assert requests.get(address, headers=BROWSER, timeout=PATIENCE).status_code == 200, link


def test_the_description_is_a_page_for_browsers_and_a_document_for_programs(server):
    text = str(page(server, "/api-description"))
    assert "/predictions/{model_name}" in text and "404 Model not found" in text
    assert server.get("/api-description").json()["openapi"] == "3.0.1"


def test_programs_get_what_torchserve_gives(server):
    for accept in ("*/*", "application/json", ""):
        assert server.get("/", headers={"Accept": accept}).status_code == 405
    assert server.call("POST", "/", headers=BROWSER).status_code == 405


def test_what_is_in_a_name_stays_text(server):
    response = server.get("/", headers={**BROWSER, "Host": "a<b>&\"'"})
    assert "a&lt;b&gt;&amp;&quot;&#39;" in response.text and "<b>&" not in response.text


def eventual_page(server):
    def up():
        try:
            return str(page(server))
        except requests.ConnectionError:
            return None
    return eventually(up, "the server is up")


def test_a_model_that_is_missing_is_named(serve, tmp_path):
    make_mar(tmp_path, "broken", "def handle(data, context):\n    raise ValueError('no')\n")
    server = serve(store=tmp_path, load_models="broken.mar", wait=False)
    eventually(lambda: re.search("Not ready.*broken 1.0: it", eventual_page(server)))


def test_what_is_broken_is_said_once_and_not_recommended(serve, tmp_path):
    make_mar(tmp_path, "a_broken", "def handle(data, context)\n    pass\n")
    make_mar(tmp_path, "good", "echo.py")
    (tmp_path / "junk.mar").write_text("junk")
    server = serve(store=tmp_path, load_models="all", wait=False)
    eventually(lambda: server.answers() and server.knows("good") and server.model_ready("good"))
    text = eventually(lambda: [t for t in [eventual_page(server)] if "SyntaxError" in t])[0]
    assert text.count("SyntaxError: expected ':' (a_broken_handler.py, line 1)") == 1
    assert text.count("junk.mar") == 1
    assert re.search(r"a_broken 1\.0 .*0 of 1 ready", text)
    assert "/predictions/good" in text and "/predictions/a_broken" not in text


@pytest.mark.parametrize("enabled, advice", [
    (True, "None yet. Register an archive of the model store: sconce models register ARCHIVE.mar"),
    (False, "None. They are named at the start: sconce serve --model-store FOLDER")])
def test_no_models(serve, enabled, advice):
    """What is recommended is what this server would do."""
    text = str(page(serve(load_models=None, enable_model_api=enabled)))
    assert "Ready." in text and advice in text and "/predictions/MODEL" in text


def test_without_a_key_nothing_is_told_of_models(serve, tmp_path):
    make_mar(tmp_path / "store", "secret", "echo.py")
    server = serve(root=tmp_path, store=tmp_path / "store", disable_token_authorization=False,
                   key_file=tmp_path / "mine.json", wait=False)
    text = eventually(lambda: [t for t in [eventual_page(server)] if "Ready." in t])[0]
    assert "secret" not in text
    assert "Authorization: Bearer $KEY" in text
    assert "$KEY is the inference key in the server's mine.json." in text
