# SPDX-License-Identifier: Apache-2.0
"""An HTTP answer by the names that the package requests has, for who has not installed it."""

import datetime
import http.cookies
import json
import time
import urllib.error
import urllib.parse
import urllib.request


class HTTPError(OSError):
    """What raise_for_status() raises; `response` is what it is about."""

    def __init__(self, message, response):
        super().__init__(message)
        self.response = response
        self.request = response.request


class Response:
    """The whole of it is here already: nothing is left to read, or to close."""

    is_redirect = is_permanent_redirect = False     # redirects were followed
    next = raw = None

    def __init__(self, request, answer, content, elapsed):
        """`answer`: what urllib has for its status and headers."""
        self.request = request
        self.url = answer.url
        self.status_code = answer.status
        self.reason = answer.reason
        self.headers = answer.headers       # names in any case
        self.content = content
        self.encoding = answer.headers.get_content_charset()
        self.elapsed = elapsed
        self.history = []
        self.links = {}
        self.cookies = {}
        for line in answer.headers.get_all("set-cookie") or ():
            self.cookies.update((name, morsel.value) for name, morsel
                                in http.cookies.SimpleCookie(line).items())

    def __bool__(self):
        return self.ok

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        return self.iter_content(128)

    def __repr__(self):
        return "<Response [%s]>" % self.status_code

    @property
    def ok(self):
        return self.status_code < 400

    @property
    def apparent_encoding(self):
        return "utf-8"

    @property
    def text(self):
        try:
            return self.content.decode(self.encoding or self.apparent_encoding, "replace")
        except LookupError:
            return self.content.decode(self.apparent_encoding, "replace")

    def json(self, **options):
        return json.loads(self.content, **options)

    def iter_content(self, chunk_size=1, decode_unicode=False):
        whole = self.text if decode_unicode else self.content
        step = chunk_size or len(whole) or 1
        return (whole[at:at + step] for at in range(0, len(whole), step))

    def iter_lines(self, chunk_size=512, decode_unicode=False, delimiter=None):
        whole = self.text if decode_unicode else self.content
        return iter(whole.split(delimiter) if delimiter else whole.splitlines())

    def raise_for_status(self):
        if not self.ok:
            raise HTTPError("%d %s Error: %s for url: %s" % (
                self.status_code, "Client" if self.status_code < 500 else "Server", self.reason,
                self.url), self)

    def close(self):
        pass


def post(url, params):
    """POST without a body, past any proxy. `params`: the query, a dict or pairs."""
    request = urllib.request.Request(url + "?" + urllib.parse.urlencode(params), method="POST")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began = time.monotonic()
    try:
        answer = direct.open(request)
    except urllib.error.HTTPError as e:
        answer = e
    with answer:
        content = answer.read()
    return Response(request, answer, content,
                    datetime.timedelta(seconds=time.monotonic() - began))
