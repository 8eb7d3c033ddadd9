# SPDX-License-Identifier: Apache-2.0
"""A plain-socket HTTP client that sends what it is told, however wrong, and reads strictly."""

import select
import socket

TIMEOUT = 20


class Response:
    """One answer: `headers` keeps order and case, header() looks up without case."""

    def __init__(self, version, status, reason, headers):
        self.version, self.status, self.reason, self.headers = version, status, reason, headers
        self.body = b""
        self.chunks = []
        self.interim = []

    def header(self, name):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"<{self.status} {self.reason!r} {self.headers} {self.body[:200]!r}>"


class Broken(Exception):
    """The server closed the connection in the middle of an answer, or before one."""


class Raw:
    """A connection. address: a port on 127.0.0.1, or the path of a Unix socket."""

    def __init__(self, address, receive_buffer=None):
        unix = isinstance(address, str)
        self.sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(address if unix else ("127.0.0.1", address))
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def request(self, method, path, body=None, headers=(), version="1.1"):
        self.send(encode(method, path, body, headers, version))
        return self.response(method)

    def response(self, method="GET"):
        """Reads the next answer, interim ones aside."""
        interim = []
        while True:
            answer = self._head()
            if answer.status >= 200 or answer.status == 101:
                break
            interim.append(answer)
        answer.interim = interim
        if method != "HEAD" and answer.status not in (204, 304):
            self._body(answer)
        return answer

    def head(self):
        """Reads a head only: for answers whose body is watched piece by piece."""
        return self._head()

    def chunk(self):
        """Reads one chunk; b"" is the last one."""
        size = int(self._line().split(b";")[0], 16)
        if size:
            data = self._exactly(size)
            assert self._exactly(2) == b"\r\n"
            return data
        while self._line():
            pass
        return b""

    def ended(self):
        """Waits for the server to close. True: nothing more had come."""
        try:
            rest = self.buffer
            while not rest:
                rest = self.sock.recv(65536)
                return not rest
        except ConnectionError:
            return True
        return False

    def hung_up(self):
        """Waits for a reset or close without reading anything."""
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        return bool(poll.poll(TIMEOUT * 1000))

    def _fill(self):
        try:
            more = self.sock.recv(262144)
        except ConnectionError as e:
            raise Broken(f"{e} after {self.buffer[:200]!r}") from e
        if not more:
            raise Broken(f"closed after {self.buffer[:200]!r}")
        self.buffer += more

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _exactly(self, n):
        pieces, have = [self.buffer], len(self.buffer)
        while have < n:
            self.buffer = b""
            self._fill()
            pieces.append(self.buffer)
            have += len(self.buffer)
        data = b"".join(pieces)
        self.buffer = data[n:]
        return data[:n]

    def _head(self):
        version, status, reason = (self._line() + b" ").split(b" ", 2)
        assert version in (b"HTTP/1.1", b"HTTP/1.0"), version
        headers = []
        while line := self._line():
            name, value = line.split(b":", 1)
            headers.append((name.decode(), value.strip().decode("utf-8", "replace")))
        return Response(version.decode(), int(status), reason.decode().strip(), headers)

    def _body(self, answer):
        length = answer.header("content-length")
        if (answer.header("transfer-encoding") or "").lower() == "chunked":
            assert length is None, "both Content-Length and chunked"
            while data := self.chunk():
                answer.chunks.append(data)
            answer.body = b"".join(answer.chunks)
        elif length is not None:
            answer.body = self._exactly(int(length))
        else:
            answer.body = self._until_close()

    def _until_close(self):
        try:
            while True:
                self._fill()
        except Broken as e:
            if e.__cause__:
                raise
            data, self.buffer = self.buffer, b""
            return data


def encode(method, path, body=None, headers=(), version="1.1"):
    """The bytes of a request with a Content-Length where there is a body."""
    lines = [f"{method} {path} HTTP/{version}", "Host: test"]
    lines += [f"{name}: {value}" for name, value in dict(headers).items()]
    if body is not None:
        body = body if isinstance(body, bytes) else body.encode()
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")


def encode_chunked(method, path, pieces, headers=()):
    head = encode(method, path, None, {**dict(headers), "Transfer-Encoding": "chunked"})
    return head + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
