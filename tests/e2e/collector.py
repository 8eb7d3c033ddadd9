# SPDX-License-Identifier: Apache-2.0
"""A collector of spans: takes OTLP over HTTP, and reads it with opentelemetry-proto's own code."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest, ExportTraceServiceResponse)

from e2e.server import eventually


class Span:
    """What a test looks at, of a Span message and the resource that it came with."""

    def __init__(self, message, resource):
        self.message = message
        self.resource = resource
        self.trace = message.trace_id.hex()
        self.id = message.span_id.hex()
        self.parent = message.parent_span_id.hex()
        self.name = message.name
        self.facts = values(message.attributes)
        self.events = {e.name: values(e.attributes) for e in message.events}
        self.failed = message.status.code == 2

    def within(self, other):
        mine, theirs = self.message, other.message
        return (theirs.start_time_unix_nano <= mine.start_time_unix_nano
                <= mine.end_time_unix_nano <= theirs.end_time_unix_nano)

    def __repr__(self):
        return f"<{self.name} {self.id} of {self.parent or 'nobody'} {self.facts}>"


def values(attributes):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


class Collector:
    """`answers`: a list of (status, headers, body) for the next requests, one each; then all is
    taken. `gate`: an event that answers wait for."""

    def __init__(self):
        self.spans = []
        self.heads = []        # headers of requests
        self.resources = []
        self.answers = []
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                collector._take(self)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, request):
        body = request.rfile.read(int(request.headers["content-length"]))
        with self._lock:
            self.heads.append((request.path, {k.lower(): v for k, v in request.headers.items()}))
            status, headers, text = self.answers.pop(0) if self.answers else (200, {}, None)
        self.gate.wait()
        if status == 200:
            self._keep(request, body)
        if text is None:
            text = ExportTraceServiceResponse().SerializeToString()
        try:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.send_header("content-length", str(len(text)))
            request.end_headers()
            request.wfile.write(text)
        except OSError:
            pass    # it has not waited

    def _keep(self, request, body):
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        message = ExportTraceServiceRequest.FromString(body)
        assert message.SerializeToString(deterministic=True)
        with self._lock:
            for group in message.resource_spans:
                resource = values(group.resource.attributes)
                for scope in group.scope_spans:
                    assert scope.scope.name == "sconce" and scope.scope.version
                    self.spans += [Span(s, resource) for s in scope.spans]

    def find(self, **wanted):
        """Spans with these attributes of Span."""
        with self._lock:
            return [s for s in self.spans
                    if all(getattr(s, k) == v for k, v in wanted.items())]

    def tree(self, trace, names):
        """The spans of a trace by name, once there are all of these (one each)."""
        def whole():
            found = self.find(trace=trace)
            have = sorted(s.name for s in found)
            return have == sorted(names) and {s.name: s for s in found}
        return eventually(whole, lambda: f"{sorted(names)} in {self.find(trace=trace)}")

    def close(self):
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
