# SPDX-License-Identifier: Apache-2.0
"""The console's page and endpoints, as programs and other people's pages meet them. What a browser
makes of them: tests/deploy/test_console.py."""

import gzip
import json
import re
import socket

import pytest
import requests

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import PATIENCE, REPOSITORY, assert_error, eventually, free_ports

NOT_FOUND = "Requested resource is not found, please refer to API document."
MARKUP = "<img src=x onerror=alert(1)>"
TALKS = f"""
def handle(data, context):
    print({MARKUP!r})
    return data and ["said"] * len(data)
"""
REPORT = {"chosen": "onnx", "figures": {"original": {"throughput": 1.5}}}


@pytest.fixture(scope="module")
def server(module_serve, module_tmp):
    store = module_tmp / "store"
    make_mar(store, "echo", "echo.py")
    make_mar(store, "echo", "echo.py", version="2.0", file="echo2.mar")
    make_mar(store, "talks", TALKS, files={"optimized/optimized.json": json.dumps(REPORT)})
    make_mar(store, "odd", "echo.py", files={"optimized/optimized.json": "[1]"})
    return module_serve(store=store)


def console(server, path="", **options):
    return server.manage("GET", "/console" + path, **options)


def figures(server):
    return console(server, "/api/figures").json()


def version(server, name, number="1.0"):
    return next(v for v in figures(server)["models"]
                if (v["name"], v["version"]) == (name, number))


# ---- the page and its files ----

def files_of_page(server):
    """What the page loads, and what that loads."""
    found, wanted = set(), set(re.findall(r'(?:src|href)="console/web/([^"]+)"',
                                          console(server).text))
    while wanted:
        name = wanted.pop()
        found.add(name)
        text = console(server, f"/web/{name}").text
        wanted |= set(re.findall(r'from "\./([^"]+)"', text)) - found
    return found


def test_the_page_and_all_that_it_loads_is_there_and_small(server):
    page = console(server)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    names = files_of_page(server)
    assert names == {path.name for path in (REPOSITORY / "console").iterdir()} - {"index.html"}
    answers = [page, *(console(server, f"/web/{name}") for name in names)]
    assert all(answer.status_code == 200 for answer in answers)
    assert sum(len(answer.content) for answer in answers) <= 200 * 1000
    for answer in answers:
        assert not re.search(r"(?:src|href|from|import|url\()\s*[=(]?\s*[\"']?(?:https?:)?//",
                             answer.text), "a file from elsewhere"
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", answer.text)


def test_headers_keep_others_out(server):
    page = console(server).headers
    policy = dict(part.strip().partition(" ")[::2]
                  for part in page["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'" and policy["base-uri"] == "'none'"
    assert "unsafe" not in page["content-security-policy"]
    assert page["x-frame-options"] == "DENY"
    for path in ("", "/web/app.js", "/api/figures"):
        headers = console(server, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("accept,packed", [
    ("gzip", True), ("br, gzip;q=0.8", True), ("GZIP", True), ("", False), ("identity", False),
    ("gzip;q=0", False), ("br;q=1, gzip; q=0.0", False), ("xgzip", False)])
def test_compressed_for_who_takes_it(server, accept, packed):
    plain = (REPOSITORY / "console" / "app.js").read_bytes()
    answer = console(server, "/web/app.js", headers={"Accept-Encoding": accept}, stream=True)
    body = answer.raw.read(decode_content=False)
    assert ("gzip" == answer.headers.get("content-encoding")) == packed
    assert (gzip.decompress(body) if packed else body) == plain
    assert answer.headers["vary"].startswith("Accept-Encoding")


@pytest.mark.parametrize("path", ["", "/web/style.css"])
def test_what_a_browser_has_is_not_sent_again(server, path):
    first = console(server, path)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*", tag.replace("-gz", "")):
        again = console(server, path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    for other in ('"other"', tag.strip('"'), '"', "", '""', tag[:10] + '"'):
        assert console(server, path, headers={"If-None-Match": other}).status_code == 200


def test_head_has_the_headers_of_get(server):
    for path in ("/console", "/console/web/app.js"):
        get = server.manage("GET", path, headers={"Accept-Encoding": "identity"})
        head = server.manage("HEAD", path, headers={"Accept-Encoding": "identity"})
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(get.content))
        assert head.headers["etag"] == get.headers["etag"]


@pytest.mark.parametrize("path", ["/web", "/web/none.js", "/web/index.html", "/web/a/app.js", "/x",
                                  "/web/..%2fapp.js", "/api", "/api/nothing", "/api/report/echo"])
def test_what_is_not_there(server, path):
    assert_error(console(server, path), 404, "ResourceNotFoundException", NOT_FOUND)


def test_a_slash_behind_it_is_sent_on(server):
    answer = server.manage("GET", "/console/", allow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "../console")
    assert console(server, "/").text == console(server).text


@pytest.mark.parametrize("method,path", [("POST", "/console"), ("DELETE", "/console/web/app.js"),
                                         ("POST", "/console/api/figures"),
                                         ("GET", "/console/api/try/echo")])
def test_other_methods(server, method, path):
    assert server.manage(method, path).status_code == 405


def test_only_at_the_management_address(server):
    for path in ("/console", "/console/web/app.js", "/console/api/figures"):
        assert_error(server.get(path), 404, "ResourceNotFoundException", NOT_FOUND)


def test_off(serve):
    server = serve(console=False)
    for path in ("", "/web/app.js", "/api/figures", "/api/logs"):
        assert_error(console(server, path), 404, "ResourceNotFoundException", NOT_FOUND)
    page = server.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 200 and "console" not in page.text


def test_the_page_of_the_inference_address_leads_there(server):
    page = server.get("/", headers={"Accept": "text/html"}).text
    assert f'<a href="http://127.0.0.1:{server.management}/console">Console</a>' in page
    away = server.get("/", headers={"Accept": "text/html", "Host": "models.example"}).text
    assert "/console" not in away


BROWSER = {"Accept": "text/html,*/*;q=0.8"}


def test_a_browser_at_the_management_address_is_led_there(server, locked, serve):
    for one in (server, locked):
        answer = one.manage("GET", "/", headers=BROWSER, allow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "console")
        assert one.manage("GET", "/", headers=BROWSER).text == console(one).text
    # Everybody else meets TorchServe.
    assert server.manage("GET", "/").status_code == 405
    assert server.manage("POST", "/", headers=BROWSER).status_code == 405
    assert locked.manage("GET", "/").json()["type"] == "InvalidKeyException"
    assert locked.manage("GET", "/", headers=keys(locked)["management"]).status_code == 405
    assert serve(console=False).manage("GET", "/", headers=BROWSER).status_code == 405


# ---- figures ----

def counted(v, name):
    return sum(v[name]["counts"]) if name in v else 0     # an empty one is left out


def test_figures_count(server):
    before = version(server, "echo")
    for _ in range(3):
        assert server.predict("echo/1.0", b"x").ok
    after = eventually(lambda: (v := version(server, "echo"))["answers"][0] >= 3 and v)
    for name in ("requests", "batch", "queue"):
        assert counted(after, name) == counted(before, name) + 3
    assert after["ready"] == 1 and after["memory"] > 1 << 20 and after["busy"] == 0
    assert [v["default"] for v in figures(server)["models"] if v["name"] == "echo"].count(True) == 1


def test_figures_say_what_the_server_is(server):
    look = figures(server)
    assert look["ready"] and not look["authorization"] and look["modelApi"]
    assert look["inference"] == f"http://127.0.0.1:{server.inference}"
    assert server.predict("echo", b"x").ok
    counts = version(server, "echo", "1.0")["requests"]["counts"]
    assert len(look["bounds"]) + 1 == len(counts)
    assert look["bounds"] == sorted(look["bounds"]) and look["batchBounds"][0] == 1
    assert look["memory"]["limit"] > look["memory"]["used"]
    assert look["host"]["memoryTotal"] > look["host"]["memoryAvailable"] > 0
    assert look["omitted"] == 0 and look["problems"] == [] and look["registering"] == []


def test_a_cause_is_data(serve, tmp_path):
    make_mar(tmp_path / "store", "broken", f"raise ImportError({MARKUP!r})\n")
    server = serve(store=tmp_path / "store", wait=False)
    look = eventually(lambda: server.answers() and (f := figures(server))["problems"] and
                      f["models"] and f["models"][0].get("failure") and f)
    assert MARKUP in look["models"][0]["failure"] and not look["ready"]
    assert look["problems"][0]["name"] == "broken"


# ---- logs ----

def logs(server, **query):
    answer = console(server, "/api/logs", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_lines_of_a_worker(server):
    assert server.predict("talks", b"x").ok
    worker = server.describe("talks")[0]["workers"][0]["id"]
    lines = eventually(lambda: [line for line in logs(server, model="talks")["lines"]
                                if MARKUP in line])
    assert f"W-{worker}-talks_1.0" in lines[-1]
    assert [line for line in logs(server, worker=worker)["lines"] if MARKUP in line]
    assert logs(server, worker="8")["lines"] == []
    assert logs(server, model="echo", version="9")["lines"] == []


def test_a_log_is_cut_to_what_was_asked_for(server):
    for _ in range(5):
        server.get("/nowhere")
    eventually(lambda: len(logs(server, log="access")["lines"]) >= 5)
    some = logs(server, log="access", lines=2)
    assert len(some["lines"]) == 2 and some["more"]
    assert len(logs(server, log="access", lines=-3)["lines"]) == 1
    assert len(logs(server, log="access", lines=10**12)["lines"]) >= 5


def test_lines_as_json(serve, tmp_path):
    make_mar(tmp_path / "store", "talks", TALKS)
    server = serve(store=tmp_path / "store", log_format="json")
    assert server.predict("talks", b"x").ok
    worker = server.describe("talks")[0]["workers"][0]["id"]
    line = eventually(lambda: [line for line in logs(server, worker=worker)["lines"]
                               if MARKUP in line])[0]
    assert json.loads(line)["thread"].startswith(f"W-{worker}-talks_1.0")


def test_bad_questions(server):
    assert_error(console(server, "/api/logs", params={"log": "../../etc/passwd"}), 400,
                 "BadRequestException",
                 "Parameter log is model, server or access, and not '../../etc/passwd'.")
    assert console(server, "/api/logs?log=%zz").status_code == 400


def test_a_log_that_is_no_file_keeps_nobody_waiting(serve, tmp_path):
    (tmp_path / "odd").mkdir()
    server = serve(log_location=tmp_path / "odd")
    (tmp_path / "odd" / "access_log.log").unlink(missing_ok=True)
    assert logs(server, log="access")["lines"] == []
    (tmp_path / "odd" / "access_log.log").mkdir()
    answer = console(server, "/api/logs", params={"log": "access"})
    assert answer.status_code == 500 and "log_location" in answer.json()["message"]


# ---- the report of an archive ----

def test_report(server):
    assert console(server, "/api/report/talks/1.0").json() == REPORT
    assert console(server, "/api/report/echo/1.0").json() is None
    assert console(server, "/api/report/echo/9").status_code == 404
    odd = console(server, "/api/report/odd/1.0")
    assert odd.status_code == 500 and "no JSON object" in odd.json()["message"]


# ---- trying ----

def attempt(server, path, body=b"x", **options):
    return server.manage("POST", f"/console/api/try/{path}", data=body, **options)


def test_trying_is_asking(server):
    answer = attempt(server, "echo", b"photo", headers={"X-Sconce-Timing": "1"})
    assert answer.content == b"photo"
    assert re.match(r"read;dur=[\d.]+, queue;dur=[\d.]+, batch;dur=[\d.]+;desc=\"1\", "
                    r"handler;dur=[\d.]+, total;dur=[\d.]+$", answer.headers["server-timing"])
    assert attempt(server, "echo/2.0").ok
    assert_error(attempt(server, "none"), 404, "ModelNotFoundException", "Model not found: none")


# ---- who may ----

def keys(server):
    document = json.loads((server.root / "key_file.json").read_text())
    return {kind: {"Authorization": f"Bearer {entry['key']}"} for kind, entry in document.items()}


@pytest.fixture(scope="module")
def locked(module_serve, tmp_path_factory):
    store = tmp_path_factory.mktemp("locked")
    make_mar(store, "echo", "echo.py")
    server = module_serve(store=store, disable_token_authorization=None, wait=False)

    def answers():
        try:
            return server.predict("echo", b"x", headers=keys(server)["inference"]).ok
        except (OSError, ValueError, requests.ConnectionError):
            return False

    eventually(answers)
    return server


def test_the_page_needs_no_key_and_the_rest_does(locked):
    assert console(locked).ok and console(locked, "/web/app.js").ok
    for path in ("/api/figures", "/api/logs", "/api/report/echo/1.0"):
        assert console(locked, path).json()["type"] == "InvalidKeyException"
        assert console(locked, path, headers=keys(locked)["inference"]).status_code == 400
        assert console(locked, path, headers=keys(locked)["management"]).status_code == 200
    assert console(locked, "/api/figures",
                   headers=keys(locked)["management"]).json()["authorization"]


def test_trying_needs_the_inference_key(locked):
    for kind, status in (("inference", 200), ("management", 400), ("API", 400)):
        assert attempt(locked, "echo", headers=keys(locked)[kind]).status_code == status
    assert attempt(locked, "echo").json()["type"] == "InvalidKeyException"


ELSEWHERE = [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": ""},
             {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
             {"Host": "evil.example:{port}"}, {"Host": "evil.example"},
             {"Host": "localhost.evil.example"}, {"Host": "127.0.0.1.evil.example:80"},
             {"Host": "1270.0.0.1"}, {"Host": "localhostile"},
             {"Host": "evil.example", "Origin": "http://evil.example",
              "Sec-Fetch-Site": "same-origin"}]
OURS = [{}, {"Host": "localhost:{port}"}, {"Host": "[::1]:{port}"}, {"Host": "a.localhost"},
        {"Host": "10.1.2.3:99"}, {"Origin": "http://127.0.0.1:{port}"},
        {"Origin": "https://a.localhost", "Host": "a.localhost"}, {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"}, {"Origin": "https://proxy.example",
                                     "Sec-Fetch-Site": "same-origin"}]


def statuses(server, headers):
    headers = {name: value.format(port=server.management) for name, value in headers.items()}
    return {console(server, "/api/figures", headers=headers).status_code,
            console(server, "/api/logs", headers=headers).status_code,
            console(server, "/api/report/echo/1.0", headers=headers).status_code,
            attempt(server, "echo", headers=headers).status_code}


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
def test_pages_of_others_are_refused(server, headers):
    assert statuses(server, headers) == {403}


@pytest.mark.parametrize("headers", OURS, ids=str)
def test_its_own_page_is_answered(server, headers):
    assert statuses(server, headers) == {200}


def test_with_keys_any_name_will_do(locked):
    named = {**keys(locked)["management"], "Host": "models.example"}
    assert console(locked, "/api/figures", headers=named).ok
    other = {**named, "Origin": "http://evil.example"}
    assert console(locked, "/api/figures", headers=other).status_code == 403


@pytest.mark.parametrize("hosts,name,status", [
    ("models.example, m2", "models.example:8081", 200), ("models.example,M2", "m2", 200),
    ("models.example", "x.models.example", 403), ("*", "any.example", 200), (" , ", "a", 403)])
def test_names_can_be_allowed(serve, hosts, name, status):
    server = serve(console_hosts=hosts)
    answer = console(server, "/api/figures", headers={"Host": name})
    assert answer.status_code == status
    if status == 403:
        assert "--console-hosts " + name in answer.json()["message"]


def test_cors_settings_do_not_open_it(serve):
    server = serve(cors_allowed_origin="*", cors_allowed_methods="GET, POST")
    other = {"Origin": "https://app.example"}
    assert server.manage("GET", "/models", headers=other).ok
    assert console(server, "/api/figures", headers=other).status_code == 403


def test_both_apis_at_one_address(serve, tmp_path):
    make_mar(tmp_path / "store", "console", "see.py")
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    server = serve(store=tmp_path / "store", wait=False, inference_address=address,
                   management_address=address)
    server.inference = server.management = int(address.rpartition(":")[2])
    server.wait_ready()
    assert figures(server)["sameAddress"]
    # A model of that name keeps its paths.
    assert server.get("/console/predict").json()["model"] == "console"
    page = server.get("/", headers={"Accept": "text/html"}).text
    assert '<a href="/console">Console</a>' in page and console(server).ok


def test_many_that_ask_for_files_at_once(server):
    """So many wait, the others are told to come again; who leaves harms nobody."""
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.management)) as s:
            s.sendall(b"GET /console/api/logs?log=server HTTP/1.1\r\nHost: localhost\r\n\r\n")
    calls = [background(console, server, "/api/logs", params={"log": "server"}) for _ in range(40)]
    found = {call.result(PATIENCE).status_code for call in calls}
    assert 200 in found and found <= {200, 503}
    eventually(lambda: console(server, "/api/logs").ok)
