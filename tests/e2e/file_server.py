# SPDX-License-Identifier: Apache-2.0
"""An HTTP server for downloads, good and bad: a path's first segment says how it behaves."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """Serves `files` ({name: bytes}). `requests`: (path, headers) of all it got."""

    def __init__(self, files):
        self.files, self.requests = files, []
        self.release = threading.Event()    # what stalls goes on
        self.go = threading.Event()         # what is held is sent to its end
        outer = self

        class Handler(_Handler):
            server_of = outer

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self.http.server_port}/{path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release.set()
        self.go.set()
        self.http.shutdown()
        self.http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        outer = self.server_of
        how, _, rest = self.path.lstrip("/").partition("/")
        outer.requests.append((self.path, dict(self.headers)))
        try:
            getattr(self, "how_" + how)(rest)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _file(self, rest):
        return self.server_of.files[rest.partition("?")[0].rpartition("/")[2]]

    def _begin(self, status, length=None, **headers):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def how_plain(self, rest):
        data = self._file(rest)
        self._begin(200, len(data))
        self.wfile.write(data)

    def how_missing(self, rest):
        self._begin(404, 9)
        self.wfile.write(b"not here\n")

    def _pour(self, status, **headers):
        """A page without an end, as long as somebody reads it."""
        self._begin(status, **headers)
        self.close_connection = True
        while not self.server_of.release.is_set():
            self.wfile.write(b"x" * 65536)

    def how_wordy(self, rest):
        self._pour(404)

    def how_wordily(self, rest):
        """Redirects to what follows."""
        self._pour(302, Location="/" + rest)

    def how_to(self, rest):
        """Redirects to what follows."""
        self._begin(302, 0, Location="/" + rest)

    def how_away(self, rest):
        """Redirects to where the tests do not allow it."""
        self._begin(302, 0, Location="/plain/forbidden/" + rest)

    def how_round(self, rest):
        self._begin(302, 0, Location=self.path)

    def how_file(self, rest):
        self._begin(302, 0, Location="file:///etc/passwd")

    def how_short(self, rest):
        """Less than it promised, at every try, and no way to take it up again."""
        data = self._file(rest)
        self._begin(200, len(data))
        self.wfile.write(data[:len(data) // 2])
        self.close_connection = True

    def how_breaks(self, rest):
        """Breaks off in the middle; what is asked for from there on is sent."""
        data = self._file(rest)
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if start and self.headers.get("If-Range") == '"v1"':
            self._begin(206, len(data) - start,
                        Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.wfile.write(data[start:])
            return
        self._begin(200, len(data), ETag='"v1"')
        self.wfile.write(data[:len(data) // 2])
        self.close_connection = True

    def _break(self, data):
        """Half of it."""
        self._begin(200, len(data), ETag='"v1"')
        self.wfile.write(data[:len(data) // 2])
        self.close_connection = True

    def _part(self, data, start, end, said=None, **headers):
        """A part, and which one the head says that it is."""
        self._begin(206, end - start, **headers, Content_Range=said or
                    f"bytes {start}-{end - 1}/{len(data)}")
        self.wfile.write(data[start:end])

    def _start(self):
        return int(self.headers["Range"][6:-1]) if "Range" in self.headers else None

    def how_shifts(self, rest, said=None):
        """Breaks off, then sends all of it as the part that was asked for."""
        data = self._file(rest)
        if len(self.server_of.requests) == 1:
            self._break(data)
        elif self._start() is not None:
            self._part(data, 0, len(data), said)
        else:
            self.how_plain(rest)

    def how_hides(self, rest):
        """The same, without saying which part it is."""
        self.how_shifts(rest, "none")

    def how_swaps(self, rest):
        """Breaks off, then goes on with another file, If-Range or not."""
        data = self._file(rest)
        if len(self.server_of.requests) == 1:
            self._break(bytes(len(data)))
        elif self._start() is not None:
            self._part(data, self._start(), len(data), ETag='"v2"')
        else:
            self.how_plain(rest)

    def how_flaps(self, rest):
        """Another file at each time; the second has no tag, and may not be taken for the first."""
        data = self._file(rest)
        n = len(self.server_of.requests)
        if n == 1:
            self._break(bytes(len(data)))
        elif n == 2:
            self._begin(200, len(data))
            self.wfile.write(data[:len(data) // 2 + 100])
            self.close_connection = True
        elif self._start() is not None:
            self._part(bytes(len(data)), self._start(), len(data), ETag='"v1"')
        else:
            self.how_plain(rest)

    def how_caps(self, rest):
        """Breaks off; then a quarter at a time, each of which ends as a whole response does."""
        data = self._file(rest)
        start = self._start()
        if start is None:
            self._break(data)
        else:
            self._part(data, start, min(start + len(data) // 4 + 1, len(data)), ETag='"v1"')

    def how_ends(self, rest):
        """All of it, but for the end of the transfer coding."""
        data = self._file(rest)
        if self._start() is None:
            self._begin(200, None, Transfer_Encoding="chunked", ETag='"v1"')
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.close_connection = True
        else:
            self._begin(416, 0, Content_Range=f"bytes */{len(data)}")

    def how_unasked(self, rest):
        """A part, though the whole was asked for."""
        data = self._file(rest)
        self._part(data, 0, len(data) // 2)

    def how_changes(self, rest):
        """Breaks off; by then it is another file."""
        data = self._file(rest)
        if len(self.server_of.requests) > 1:
            self._begin(200, len(data), ETag='"v2"')
            self.wfile.write(data)
            return
        self._begin(200, len(data) + 10, ETag='"v1"')
        self.wfile.write(b"something else")
        self.close_connection = True

    def how_stalls(self, rest):
        data = self._file(rest)
        self._begin(200, len(data))
        self.wfile.write(data[:10])
        self.wfile.flush()
        self.server_of.release.wait(60)
        self.close_connection = True

    def how_held(self, rest):
        """Half of it, and the rest when the test says so."""
        data = self._file(rest)
        self._begin(200, len(data))
        self.wfile.write(data[:len(data) // 2])
        self.wfile.flush()
        self.server_of.go.wait(60)
        self.wfile.write(data[len(data) // 2:])

    def how_trickles(self, rest):
        """A few bytes now and then, of a file that has many."""
        self._begin(200, 1_000_000)
        while not self.server_of.release.wait(0.02):
            self.wfile.write(b"drop")
            self.wfile.flush()
        self.close_connection = True

    def how_endless(self, rest):
        self._begin(200, None, Connection="close")
        while not self.server_of.release.is_set():
            self.wfile.write(bytes(65536))
