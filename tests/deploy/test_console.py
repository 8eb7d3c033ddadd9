# SPDX-License-Identifier: Apache-2.0
"""The console in Chromium, used as people use it."""

import http.client
import io
import json
import shlex
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

# First: it says whose assertions are to be explained.
from e2e.conftest import server_factory
from e2e.archives import make_mar
from e2e.server import eventually

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--window-size=1280,1000")
MARKUP = "<img src=x onerror=document.title=1>"
HOSTILE = f"""
def handle(data, context):
    if data is None:
        print({MARKUP!r})
        return
    return [{MARKUP!r}] * len(data)
"""
LOOKS = """
import io, json
from PIL import Image
def handle(data, context):
    found = []
    for row in data or []:
        body = row.get("body") or row.get("data")
        if isinstance(body, (bytes, bytearray)):
            found.append({"size": list(Image.open(io.BytesIO(body)).size)})
        else:
            found.append({"told": body})
    return found
"""


@pytest.fixture(scope="module")
def factory(tmp_path_factory):
    with server_factory(lambda: tmp_path_factory.mktemp("server")) as start:
        yield start


@pytest.fixture(scope="module")
def server(factory, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    make_mar(store, "looks", LOOKS, files={"optimized/optimized.json": json.dumps(
        {"chosen": "small", "figures": {"original": {"latency_ms": 9.5, "throughput": 100},
                                        "small": {"latency_ms": 2.5, "throughput": 400}}})})
    make_mar(store, "echo", "echo.py")
    make_mar(store, "later", "echo.py", file="spare/later.mar")
    make_mar(store, "later", "echo.py", version="2.0", file="spare/later2.mar")
    return factory(store=store, load_models="looks.mar,echo.mar")


class Browser:
    """Chromium, and what people do with it. `page` is where the console is."""

    def __init__(self, folder):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for flag in (*FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = shutil.which("chromedriver")
        assert driver, "Chromium is missing: tools/setup.sh test"
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(driver))
        self.page = None
        self.more = []      # where else it may ask

    def open(self, server, path=""):
        self.page = f"http://127.0.0.1:{server.management}/console"
        self.driver.get("about:blank")
        self.driver.get(self.page + path)

    def go(self, path):
        self.driver.get(self.page + path)

    def emulate(self, **features):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": name.replace("_", "-"), "value": v} for name, v in features.items()]})

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, css, text=None):
        return [e for e in self.driver.find_elements(By.CSS_SELECTOR, css)
                if text is None or e.text.strip() == text]

    def see(self, css, text=None):
        """The first such element, once it is shown."""
        def look():
            try:
                return next((e for e in self.all(css, text) if e.is_displayed()), None)
            except StaleElementReferenceException:
                return None
        return eventually(look, lambda: f"{css} {text or ''} in:\n{self.text()}")

    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def read(self, words):
        eventually(lambda: words in self.text(), lambda: f"'{words}' in:\n{self.text()}")

    def press(self, *keys):
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def fill(self, label, value):
        """The field of this label."""
        field = self.see("label", label).get_attribute("for")
        element = self.driver.find_element(By.ID, field)
        element.clear()
        element.send_keys(value)
        return element

    def focused(self):
        element = self.driver.switch_to.active_element
        return element.get_attribute("aria-label") or element.text or element.get_attribute("id")

    def complaints(self):
        """What the console of the developers' tools has: errors, breaches of the policy."""
        return [entry for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]

    def addresses(self):
        """Of all requests that it made since it was asked last."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium):
    """With nothing kept from before; and it must have had nothing to complain of."""
    chromium.emulate(prefers_color_scheme="light")
    chromium.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.complaints()
    chromium.addresses()
    yield chromium
    assert chromium.complaints() == []
    allowed = (chromium.page.removesuffix("/console"), *chromium.more, "blob:", "data:", "about:")
    assert [url for url in chromium.addresses() if not url.startswith(allowed)] == []
    chromium.run("sessionStorage.clear(); localStorage.clear()")


# ---- looking ----

def test_everything_is_told(server, browser):
    browser.open(server)
    browser.read("Ready")
    for name in ("looks", "echo"):
        browser.see("tbody th a", name)
    for title in ("Latency", "Requests", "Queue", "Batch size", "Memory", "Processors"):
        browser.see(".chart h3", title)
    assert [e.text for e in browser.all(".models .state")] == ["Ready"] * 2


def test_charts_move_under_load(server, browser):
    stop = threading.Event()

    def ask():
        with requests.Session() as session:
            while not stop.is_set():
                session.post(f"http://127.0.0.1:{server.inference}/predictions/echo", data=b"x")

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        browser.open(server)
        lines = "return [...document.querySelectorAll('.chart .s0.line')].map((l) => " \
                "(l.getAttribute('d').match(/L/g) || []).length)"
        # Latency, requests, queue, batch size, memory, processors: lines of several points.
        eventually(lambda: min(browser.run(lines)) >= 2, lambda: browser.run(lines))
        latency, answered = (browser.all(".chart svg")[i].get_attribute("aria-label")
                             for i in (0, 1))
        assert "p50" in latency and "–" not in latency
        assert answered.startswith("Requests: answered ") and "answered 0/s" not in answered
        assert browser.see(".tile dd").text not in ("0/s", "–")
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_markup_of_others_is_text(factory, browser, tmp_path):
    make_mar(tmp_path, "<b>hostile", HOSTILE, version=MARKUP, files={
        "optimized/optimized.json": json.dumps({"chosen": "small", "original": {"archive": MARKUP},
                                                "figures": {"small": {"title": MARKUP}}})})
    make_mar(tmp_path, "broken", f"raise ImportError({MARKUP!r})\n")
    server = factory(store=tmp_path, wait=False)
    eventually(lambda: server.answers() and server.predict("<b>hostile", b"x").ok)
    cause = f"ImportError: {MARKUP} (broken_handler.py, line 1)"
    browser.open(server)
    browser.see(".models .why", cause)
    browser.go("#/model/broken/1.0")
    browser.see(".problem code", cause)
    browser.go("#/model/%3Cb%3Ehostile/" + requests.utils.quote(MARKUP, safe=""))
    eventually(lambda: any(MARKUP in e.text for e in browser.all(".log .line")), "the line")
    browser.fill("Text", "{}")
    browser.see("button", "Send").click()
    browser.see(".result pre", MARKUP)
    browser.see("th", MARKUP + "\nchosen")
    browser.see("dd", MARKUP)
    assert browser.run("return document.querySelectorAll('img[src=x]').length") == 0
    assert browser.driver.title == f"<b>hostile {MARKUP} · sconce"


# ---- changing ----

def test_a_model_from_its_registration_to_its_end(server, browser):
    browser.open(server)
    browser.see("button", "Register…").click()
    browser.fill("Archive", "nowhere.mar")
    browser.see("dialog button", "Register").click()
    browser.see("dialog .error")
    assert "404" in eventually(browser.complaints)[0]["message"]
    browser.fill("Archive", "spare/later.mar")
    browser.see("dialog button", "Register").click()
    browser.read('Model "later" Version: 1.0 registered')
    browser.see("tbody th a", "later").click()
    assert browser.see("h1").text == "later 1.0"

    browser.fill("Workers", "2")
    browser.see("button", "Scale").click()
    browser.read("Workers scaled to 2 for model: later, version: 1.0")
    eventually(lambda: len(browser.all(".card tbody th")) == 2, "two workers")
    assert len(server.worker_pids("later")) == 2

    assert server.register("spare/later2.mar", initial_workers=1, synchronous="true").ok
    browser.go("#/model/later/2.0")
    browser.see("button", "Set as default").click()
    browser.read('Default version successfully updated for model "later" to "2.0"')
    assert server.describe("later")[0]["modelVersion"] == "2.0"
    browser.see(".tag", "default")

    browser.go("#/model/later/1.0")
    browser.see("button", "Unregister…").click()
    browser.see("dialog h2", "Unregister later 1.0?")
    browser.see("dialog button", "Unregister").click()
    browser.read('Model "later" unregistered')
    browser.see("h2", "Models")
    assert [v["modelVersion"] for v in server.describe("later", "all")] == ["2.0"]
    assert server.manage("DELETE", "/models/later/2.0").ok


# ---- trying ----

def run_command(command):
    done = subprocess.run([*shlex.split(command), "--silent", "--show-error"], check=True,
                          capture_output=True, text=True, timeout=30)
    return json.loads(done.stdout)


def test_a_photograph(server, browser, tmp_path):
    photo = tmp_path / "it's a photo.jpg"
    Image.new("RGB", (64, 48), "red").save(photo)
    browser.open(server, "#/model/looks/1.0")
    browser.see("h2", "Try it")
    browser.all("#file")[0].send_keys(str(photo))
    browser.see(".drop img")
    browser.see("button", "Send").click()
    browser.read("200 OK")
    assert json.loads(browser.see(".result pre").text) == {"size": [64, 48]}
    times = browser.see(".result .timebar").get_attribute("aria-label")
    assert all(f"{part} " in times for part in ("queue", "batch", "handler"))
    assert "batch of 1 request" in browser.see(".result .legend").text
    command = browser.see(".command code").text
    assert f":{server.inference}/predictions/looks/1.0" in command
    shown = command.replace(shlex.quote(f"@{photo.name}").replace("'\"'\"'", "'\\''"),
                            shlex.quote(f"@{photo}"))
    assert run_command(shown) == {"size": [64, 48]}


def test_a_dropped_photograph(server, browser):
    browser.open(server, "#/model/looks/1.0")
    browser.see("h2", "Try it")
    picture = io.BytesIO()
    Image.new("RGB", (8, 9)).save(picture, "PNG")
    browser.run("""
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(arguments[0])], "p.png", { type: "image/png" }));
        document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data,
          bubbles: true, cancelable: true }));""", list(picture.getvalue()))
    browser.read("p.png")
    browser.see("button", "Send").click()
    browser.read("200 OK")
    assert json.loads(browser.see(".result pre").text) == {"size": [8, 9]}


def test_json(server, browser):
    browser.open(server, "#/model/looks/1.0")
    browser.fill("Text", '{"it\'s": [1')
    browser.read("This is not JSON yet")
    browser.fill("Text", '{"it\'s": [1]}')
    browser.see("button", "Send").click()
    browser.read("200 OK")
    assert json.loads(browser.see(".result pre").text) == {"told": {"it's": [1]}}
    assert run_command(browser.see(".command code").text) == {"told": {"it's": [1]}}


def test_an_answer_that_is_a_picture_or_a_page(server, browser):
    browser.open(server, "#/model/echo/1.0")
    picture = io.BytesIO()
    Image.new("RGB", (30, 20)).save(picture, "PNG")
    for body, media, shown in ((picture.getvalue(), "image/png", True),
                               (b"<script>document.title=1</script>\0", "text/html", False)):
        browser.run("""
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(arguments[0])], "f", { type: arguments[1] }));
            document.querySelector(".drop").dispatchEvent(new DragEvent("drop",
              { dataTransfer: data, bubbles: true, cancelable: true }));""", list(body), media)
        browser.see("button", "Send").click()
        browser.read(f"{len(body)} B, " if not shown else "200 OK")
        save = browser.see("a", "Save the answer")
        kind = browser.driver.execute_async_script("""const [url, done] = arguments;
            const image = document.querySelector("img.output");
            image.decode().catch(() => 0).then(() => done([image.hidden ? 0 : image.naturalWidth,
              url.startsWith("blob:")]))""", save.get_attribute("href"))
        assert kind == [30 if shown else 0, True]
    assert browser.driver.title == "echo 1.0 · sconce"


def test_an_error_is_shown_as_one(server, browser):
    assert server.manage("PUT", "/models/looks?min_worker=0&synchronous=true").ok
    try:
        browser.open(server, "#/model/looks/1.0")
        browser.read("No workers")
        browser.see("button", "Send").click()
        browser.see(".status.bad")
        browser.read("has no worker to serve inference request")
        # Chromium tells of every answer of this kind.
        complaints = eventually(browser.complaints)
        assert len(complaints) == 1 and "503" in complaints[0]["message"]
    finally:
        assert server.manage("PUT", "/models/looks?min_worker=1&synchronous=true").ok


# ---- keys ----

def test_keys(factory, browser, tmp_path):
    make_mar(tmp_path, "echo", "echo.py")
    server = factory(store=tmp_path, disable_token_authorization=None, wait=False)
    key_file = server.root / "key_file.json"
    eventually(lambda: server.answers() and key_file.exists())
    keys = {kind: entry["key"] for kind, entry in json.loads(key_file.read_text()).items()}
    browser.open(server)
    browser.see("dialog h2", "Keys")
    browser.fill("Management key", "notakey_")
    browser.see("dialog button", "Use").click()
    browser.read("That is no key of this server")
    browser.fill("Management key", keys["management"])
    browser.see("dialog button", "Use").click()
    browser.see("tbody th a", "echo").click()
    browser.fill("Text", "[1]")
    browser.see("button", "Send").click()
    browser.fill("Inference key", keys["inference"])
    browser.see("dialog button", "Use").click()
    browser.read("200 OK")
    assert "Authorization: Bearer $KEY" in browser.see(".command code").text
    kept = browser.run("return JSON.stringify([{...sessionStorage}, {...localStorage}, "
                       "location.href, document.cookie])")
    for key in (keys["management"], keys["inference"]):
        assert kept.count(key) == 1 and key in kept.partition("}")[0]
        assert not [url for url in browser.addresses() if key in url]
    for entry in browser.complaints():
        assert "status of 400" in entry["message"]
    browser.see("#keys").click()
    browser.see("button", "Forget both").click()
    browser.see("dialog button", "Use").click()
    browser.see("dialog h2", "Keys")
    assert keys["management"] not in browser.run("return JSON.stringify({...sessionStorage})")
    browser.complaints()


# ---- for everybody ----

BACKGROUND = "return getComputedStyle(document.body).backgroundColor"


def test_dark_and_light(server, browser):
    browser.open(server)
    light = browser.run(BACKGROUND)
    browser.emulate(prefers_color_scheme="dark")
    dark = browser.run(BACKGROUND)
    assert light != dark
    button = browser.see("#theme", "Theme: auto")
    button.click()
    assert (button.text, browser.run(BACKGROUND)) == ("Theme: light", light)
    browser.driver.refresh()
    browser.see("#theme", "Theme: light").click()
    browser.emulate(prefers_color_scheme="light")
    assert browser.run(BACKGROUND) == dark
    browser.see("#theme", "Theme: dark").click()
    assert browser.run(BACKGROUND) == light


def tab_to(browser, wanted, most=40):
    seen = []
    for _ in range(most):
        browser.press(Keys.TAB)
        seen.append(browser.focused())
        if seen[-1] == wanted:
            return
    raise AssertionError(f"no {wanted} among {seen}")


def test_by_keyboard_alone(server, browser):
    browser.open(server)
    browser.see("tbody th a", "echo")
    browser.press(Keys.TAB)
    assert browser.focused() == "Skip to the content"
    tab_to(browser, "Register…")
    browser.press(Keys.ENTER)
    browser.see("dialog h2", "Register a model")
    browser.press("nowhere.mar", Keys.ENTER)
    browser.see("dialog .error")
    browser.press(Keys.ESCAPE)
    eventually(lambda: not browser.all("dialog"), "the dialog closes")
    assert browser.focused() == "Register…"
    tab_to(browser, "echo")
    browser.press(Keys.ENTER)
    eventually(lambda: browser.focused() == "echo 1.0", "the heading has the focus")
    tab_to(browser, "Scale")
    browser.see(".card tbody th")
    tab_to(browser, "Send")
    browser.press(Keys.ENTER)
    browser.read("200 OK")
    tab_to(browser, "Log lines")
    eventually(browser.complaints, "the registration that failed")


def test_every_field_has_a_name(server, browser):
    unnamed = """return [...document.querySelectorAll("input, select, textarea, button, a, "
      + "[role=img], [role=region]")].filter((e) => !e.hidden && !(e.labels && e.labels.length)
      && !e.getAttribute("aria-label") && !e.textContent.trim()).map((e) => e.outerHTML)"""
    browser.open(server)
    browser.see("tbody th a", "echo")
    assert browser.run(unnamed) == []
    browser.see("button", "Register…").click()
    assert browser.run(unnamed) == []
    browser.press(Keys.ESCAPE)
    browser.go("#/model/looks/1.0")
    browser.see(".card tbody th")
    assert browser.run(unnamed) == []


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_need_not_scroll_sideways(server, browser, width):
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 740, "deviceScaleFactor": 2, "mobile": True})
    overflow = "return document.documentElement.scrollWidth - innerWidth"
    browser.open(server)
    browser.see("tbody th a", "echo")
    assert browser.run(overflow) == 0
    browser.see("button", "Register…").click()
    browser.see("dialog")
    assert browser.run(overflow) == 0
    browser.press(Keys.ESCAPE)
    browser.go("#/model/looks/1.0")
    browser.see(".card tbody th")
    browser.see("h2", "Optimize report")
    assert browser.run(overflow) == 0


def test_a_server_that_is_gone(factory, browser, tmp_path):
    server = factory(store=tmp_path)
    browser.open(server)
    browser.read("No models yet.")
    server.process.terminate()
    server.process.wait()
    browser.read("Not reached")
    browser.read("The server does not answer. What you see is as it was last.")
    assert all("ERR_CONNECTION_REFUSED" in c["message"] for c in browser.complaints())


class Prefix(BaseHTTPRequestHandler):
    """A proxy that has the management address of `port` below /far/away."""

    port = None

    def forward(self):
        path = self.path.removeprefix("/far/away")
        assert path != self.path, f"{self.path} is not below the prefix"
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        upstream = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        upstream.request(self.command, path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = forward

    def log_message(self, *_):
        pass


def test_behind_a_proxy_with_a_prefix(server, browser):
    handler = type("Here", (Prefix,), {"port": server.management})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            root = f"http://localhost:{proxy.server_address[1]}/far/away"
            browser.driver.get(root + "/console/")
            browser.more.append(root)
            browser.see("tbody th a", "looks").click()
            browser.fill("Text", "[1]")
            browser.see("button", "Send").click()
            browser.read("200 OK")
            assert browser.driver.current_url == root + "/console#/model/looks/1.0"
            browser.driver.get("about:blank")
        finally:
            proxy.shutdown()
            thread.join()
    browser.open(server)


# ---- what its modules compute ----

def module(browser, name, expression):
    return browser.driver.execute_async_script("""
        const [name, expression, done] = arguments;
        import(new URL(`console/web/${name}`, location.href.split("#")[0])).then(
          (m) => done({ value: expression(m) }), (e) => done({ error: String(e) }));
        """.replace("expression(m)", f"({expression})(m)"), name, None)["value"]


@pytest.mark.parametrize("counts,q,expected", [
    ([0, 0, 0, 0], 0.5, None), ([4, 0, 0, 0], 0.5, 0.5), ([0, 4, 0, 0], 0.5, 1.5),
    ([0, 0, 0, 3], 0.99, 4), ([1, 1, 2, 0], 1, 4), ([2, 0, 2, 0], 0.5, 1),
    ([1, 0, 3, 0], 0.5, 2 + 2 / 3)])
def test_percentiles(server, browser, counts, q, expected):
    browser.open(server)
    found = module(browser, "figures.js", f"(m) => m.percentile([1, 2, 4], {counts}, {q})")
    assert found == (expected and pytest.approx(expected))


def test_lines_of_both_formats(server, browser):
    browser.open(server)
    text = module(browser, "logs.js", 'm => m.parseLine("2026-11-24T12:00:00,123 [WARN ] t l - x")')
    assert (text["at"], text["level"]) == ("2026-11-24T12:00:00.123", "WARN")
    line = json.dumps({"time": "2026-11-24T12:00:00.123+01:00", "level": "ERROR", "message": "x"})
    for cut in (line, line[:-4]):
        found = module(browser, "logs.js", f"m => m.parseLine({json.dumps(cut)})")
        assert found["level"] == ("ERROR" if cut == line else "")
