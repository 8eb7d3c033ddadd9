# SPDX-License-Identifier: Apache-2.0
"""The context that handlers get: the model, the server, and the requests of the running batch."""

import os

from ts.version import __version__


class RequestProcessor:
    """Headers of one request, and status and headers of its answer.

    `request_header` is a dict, or anything with a `read_headers()` that gives one: headers are
    decoded only when a handler looks at them.
    """

    __slots__ = ("_source", "_headers", "_status", "_phrase", "_response")

    def __init__(self, request_header):
        self._source = request_header
        self._headers = None
        self._status = 200
        self._phrase = None
        self._response = None

    def get_request_properties(self):
        if self._headers is None:
            source = self._source
            self._headers = source if isinstance(source, dict) else source.read_headers()
        return self._headers

    def get_request_property(self, key):
        return self.get_request_properties().get(key)

    def report_status(self, code, reason_phrase=None):
        self._status = code
        self._phrase = reason_phrase

    def get_response_status_code(self):
        return self._status

    def get_response_status_phrase(self):
        return self._phrase

    def add_response_property(self, key, value):
        if self._response is None:
            self._response = {}
        self._response[key] = value

    def get_response_headers(self):
        if self._response is None:
            self._response = {}
        return self._response

    def get_response_header(self, key):
        return self._response.get(key) if self._response else None

    def reply_head(self):
        """(status, phrase, content type, header block) as the worker sends them; an exception says
        what of them cannot be sent."""
        status = self._status
        if type(status) is not int:
            status = 200 if status is None else int(status)
        if not 200 <= status <= 999:
            raise ValueError("%d is not the status of an answer" % status)
        if self._response is None and self._phrase is None:
            return status, b"", b"", b""
        from sconce.frame import header_text, write_headers

        # Of names that differ in case the later one counts, and goes to the end.
        headers = {}
        for name, value in (self._response or {}).items():
            name = str(name)
            headers.pop(name.lower(), None)
            headers[name.lower()] = name, value
        _, content_type = headers.pop("content-type", ("", None))
        return (status, header_text(str(self._phrase or ""), "reason phrase"),
                header_text(str(content_type or ""), "content-type"),
                write_headers((name, str(value)) for name, value in headers.values()))


def _header_key(what):
    """The header that says which sequence a request belongs to, where it starts and ends."""
    return os.environ.get("TS_REQUEST_SEQUENCE_" + what,
                          "ts_request_sequence_" + what.lower())


class Context:
    """One per worker; `request_ids` and `request_processor` change with every batch.

    `cache` is the handler's own: a dict that lives as long as the worker, for what the requests of
    a sequence share, or what is worth keeping between requests. Nothing else touches it, and
    batches of a coroutine handler see the same one.
    """

    def __init__(self, model_name, model_dir, manifest, batch_size, gpu, mms_version,
                 limit_max_image_pixels=True, metrics=None, model_yaml_config=None):
        self.model_name = model_name
        self.manifest = manifest
        self._system_properties = {
            "model_dir": model_dir,
            "gpu_id": gpu,
            "batch_size": batch_size,
            "server_name": "MMS",
            "server_version": mms_version or __version__,
            "limit_max_image_pixels": limit_max_image_pixels,
        }
        self._limit_max_image_pixels = limit_max_image_pixels
        self.model_yaml_config = model_yaml_config if model_yaml_config is not None else {}
        self.request_ids = None
        self._running = ()
        self.request_processor = [RequestProcessor({})]
        self.stopping_criteria = None
        self.cl_socket = None
        self.cache = {}
        self.header_key_sequence_id = _header_key("ID")
        self.header_key_sequence_start = _header_key("START")
        self.header_key_sequence_end = _header_key("END")
        self.sequence_ended = None   # a handler's function(sequence_id), see sequence_over()
        self.session = None          # the worker's, where batches run side by side
        self.declared_metrics = None    # those of the server's metrics_config
        self._metrics = metrics
        self._made = {}              # the metrics cache, once it is there; copies have the same

    def begin_batch(self, requests):
        """The worker's: these requests are next. Each has `ident`, `uuid` and `read_headers()`.
        Returns their processors, whatever the handler does to `request_processor`."""
        self._running = requests
        if len(requests) == 1:
            request = requests[0]
            self.request_ids = {0: request.ident}
            self.request_processor = [RequestProcessor(request)]
        else:
            self.request_ids = {i: r.ident for i, r in enumerate(requests)}
            self.request_processor = [RequestProcessor(r) for r in requests]
        if self._metrics is not None:
            try:
                self._metrics.request_ids = self.names()
            except AttributeError:
                pass    # what a handler has put there may have no place for them
        return tuple(self.request_processor)

    def names(self):
        """What logs and clients call the requests, which may not be unique: {i: name}."""
        return {i: r.uuid for i, r in enumerate(self._running)}

    def __copy__(self):
        """For batches that run side by side: each has its own request ids, in metrics too."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        # A handler may have put metrics of its own there.
        if hasattr(self._metrics, "for_batch"):
            other._metrics = self._metrics.for_batch()
        return other

    @property
    def _request_processor(self):
        """By the name that scripts know which make a context by hand."""
        return self.request_processor

    @_request_processor.setter
    def _request_processor(self, request_processor):
        self.request_processor = request_processor

    @property
    def metrics(self):
        """The metrics cache, made when a handler first asks for it."""
        if self._metrics is None:
            if "metrics" not in self._made:
                self._made["metrics"] = self._make_metrics()
            self._metrics = self._made["metrics"].for_batch()
            # While the model is loaded there are no requests, which is not an error either.
            self._metrics.request_ids = self.names() or self.request_ids or ""
        return self._metrics

    def _make_metrics(self):
        from ts.metrics.metric_cache_yaml_impl import WorkerMetricsCache

        cache = WorkerMetricsCache(self.declared_metrics, "", self.model_name)
        cache.initialize_cache()
        return cache

    @metrics.setter
    def metrics(self, metrics):
        self._metrics = metrics

    @property
    def system_properties(self):
        return self._system_properties

    def get_request_id(self, idx=0):
        return self.request_ids.get(idx) if self.request_ids else None

    def get_request_header(self, idx, key):
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx):
        return self.request_processor[idx].get_request_properties()

    def set_response_content_type(self, idx, value):
        self.set_response_header(idx, "content-type", value)

    def get_response_content_type(self, idx):
        return self.get_response_headers(idx).get("content-type")

    def set_response_status(self, code=200, phrase="", idx=0):
        self.request_processor[idx].report_status(code, reason_phrase=phrase)

    def set_all_response_status(self, code=200, phrase=""):
        for processor in self.request_processor:
            processor.report_status(code, reason_phrase=phrase)

    def get_response_status(self, idx):
        processor = self.request_processor[idx]
        return processor.get_response_status_code(), processor.get_response_status_phrase()

    def set_response_header(self, idx, key, value):
        self.request_processor[idx].add_response_property(key, value)

    def get_response_headers(self, idx):
        return self.request_processor[idx].get_response_headers()

    def get_sequence_id(self, idx):
        return self.get_request_header(idx, self.header_key_sequence_id)

    def is_cancelled(self, idx=0):
        """Has the client of this request left? Not in TorchServe; for handlers that stream."""
        from sconce import serving

        session = self.session or serving.session
        return session is not None and session.is_cancelled(self.get_request_id(idx))

    def sequence_over(self, sequence_id):
        """The worker's: a sequence that ran here has ended or expired."""
        if self.sequence_ended is not None:
            self.sequence_ended(sequence_id)

    def __eq__(self, other):
        return isinstance(other, Context) and self.__dict__ == other.__dict__

    __hash__ = object.__hash__
