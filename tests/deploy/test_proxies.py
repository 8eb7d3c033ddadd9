# SPDX-License-Identifier: Apache-2.0
"""nginx and HAProxy as deploy/ has them, with other ports and certificates, before real servers."""

import os
import re
import shutil
import subprocess

import pytest
import requests

from e2e.archives import make_mar
from e2e.conftest import server_factory
from e2e.server import REPOSITORY, eventually
from processes import free_ports

DEPLOY = REPOSITORY / "deploy"
HANDLER = """
import os
from ts.handler_utils.utils import send_intermediate_predict_response
def handle(data, context):
    if not data:
        return []
    body = data[0].get("body") or data[0].get("data")
    if body == b"stream":
        for piece in ("a", "b"):
            send_intermediate_predict_response([piece], context.request_ids, "ok", 200, context)
        return ["c"]
    return [{"bytes": len(body), "id": context.get_request_id(0)}]
"""


class Proxy:
    def __init__(self, folder, servers):
        self.folder = folder
        self.port, = free_ports(1)
        self.certificate = folder / "c.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", folder / "k.pem", "-out", self.certificate],
                       check=True, capture_output=True)
        self.log = folder / "proxy.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command([f"127.0.0.1:{server.inference}" for server in servers]), cwd=folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(folder)})
        self.url = f"https://localhost:{self.port}"
        eventually(self.listens, lambda: self.log.read_text(errors="replace"))

    def listens(self):
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        try:
            return self.get("/ping").status_code == 200
        except requests.ConnectionError:
            return False

    def get(self, path):
        return requests.get(self.url + path, verify=self.certificate, timeout=20)

    def post(self, body, **options):
        return requests.post(f"{self.url}/predictions/m", data=body, verify=self.certificate,
                             timeout=20, **options)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) in (0, -15, 143)


class Nginx(Proxy):
    def command(self, servers):
        text = (DEPLOY / "nginx" / "sconce.conf").read_text()
        text = re.sub(r"\n\tserver 127\.0\.0\.1:8080 (.*;)",
                      "".join(rf"\n\tserver {server} \1" for server in servers), text)
        text = text.replace("listen 8443", f"listen 127.0.0.1:{self.port}")
        text = re.sub(r"(ssl_certificate )\s*\S+;", rf"\1{self.certificate};", text)
        text = re.sub(r"(ssl_certificate_key )\S+;", rf"\1{self.folder}/k.pem;", text)
        places = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {self.folder}/pid;\nerror_log stderr;\n"
            f"events {{}}\nhttp {{\n{places}access_log off;\n{text}\n}}\n")
        return ["nginx", "-e", "stderr", "-p", str(self.folder), "-c", "nginx.conf"]


class HAProxy(Proxy):
    def command(self, servers):
        (self.folder / "both.pem").write_bytes(self.certificate.read_bytes()
                                               + (self.folder / "k.pem").read_bytes())
        text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
        text = text.replace("bind :8443", f"bind 127.0.0.1:{self.port}")
        text = text.replace("/etc/ssl/private/models-with-key.pem", f"{self.folder}/both.pem")
        lines = "".join(f"\tserver s{i} {server}\n" for i, server in enumerate(servers))
        text = text.replace("\tserver one 127.0.0.1:8080\n", lines)
        (self.folder / "haproxy.cfg").write_text(text)
        return ["haproxy", "-db", "-f", "haproxy.cfg"]


KINDS = {"nginx": Nginx, "haproxy": HAProxy}


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    make_mar(store, "m", HANDLER)
    with server_factory(lambda: tmp_path_factory.mktemp("server")) as start:
        yield lambda: start(store=store)


@pytest.fixture(scope="module")
def servers(serve):
    return [serve(), serve()]


@pytest.fixture(params=sorted(KINDS))
def proxy(request, servers, tmp_path):
    if not shutil.which(request.param):
        pytest.skip(f"no {request.param} here")
    made = KINDS[request.param](tmp_path, servers)
    yield made
    made.stop()


def test_a_request_goes_through_with_its_id(proxy):
    answer = proxy.post(b"x" * 200_000, headers={"x-request-id": "order-17"})
    assert answer.json() == {"bytes": 200_000, "id": answer.json()["id"]}
    assert answer.headers["x-request-id"] == "order-17"
    made = proxy.post(b"x")
    assert re.fullmatch(r"[0-9a-f-]{32,36}", made.headers["x-request-id"])


def test_a_stream_goes_through(proxy):
    assert proxy.post(b"stream").content == b"abc"


def test_operators_pages_stay_inside(proxy):
    assert proxy.get("/").status_code == 404
    assert proxy.get("/metrics").status_code == 404


def test_both_servers_take_part(proxy, servers):
    def asked():
        return [server.metric("sconce_answers_total", model_name="m", code="2xx") or 0
                for server in servers]
    before = asked()
    eventually(lambda: proxy.post(b"x").status_code == 200
               and all(now > then for now, then in zip(asked(), before)))


def test_a_server_that_stops_is_left_out(serve, tmp_path):
    """HAProxy hears of it before the port is closed, so nothing is lost."""
    if not shutil.which("haproxy"):
        pytest.skip("no haproxy here")
    pair = [serve(), serve()]
    proxy = HAProxy(tmp_path, pair)
    try:
        pair[0].stop()
        eventually(lambda: "Server sconce/s0 is DOWN" in proxy.log.read_text(errors="replace"))
        assert {proxy.post(b"x").status_code for _ in range(20)} == {200}
    finally:
        proxy.stop()
