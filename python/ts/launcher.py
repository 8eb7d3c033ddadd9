# SPDX-License-Identifier: Apache-2.0
"""Starts and stops `torchserve` from a script, and registers models with it."""

import queue
import subprocess
import threading

_MANAGEMENT = "http://localhost:8081"
_LINES = 1000      # that wait to be read; more are dropped


def stop(wait=True):
    """Stops the server that `torchserve` has started; `wait`: until it has ended."""
    subprocess.run(["torchserve", "--stop"] + (["--foreground"] if wait else []), check=False)


class Tee(threading.Thread):
    """Gives what it reads to two queues, line by line, and None to both at the end."""

    def __init__(self, reader):
        super().__init__(daemon=True)
        self.reader = reader
        self.queue1 = queue.Queue(maxsize=_LINES)
        self.queue2 = queue.Queue(maxsize=_LINES)

    def run(self):
        for line in self.reader:
            for lines in (self.queue1, self.queue2):
                try:
                    lines.put_nowait(line)
                except queue.Full:
                    pass
        for lines in (self.queue1, self.queue2):
            _end(lines)


def _end(lines):
    """Makes room for the None that ends it: nobody may be reading any more."""
    while True:
        try:
            lines.put_nowait(None)
            return
        except queue.Full:
            lines.get_nowait()


class PrintTillTheEnd(threading.Thread):
    """Prints the lines of a queue."""

    def __init__(self, queue):
        super().__init__(daemon=True)
        self._queue = queue

    def run(self):
        for line in iter(self._queue.get, None):
            print(line.strip())


def start(model_store=None, snapshot_file=None, no_config_snapshots=False, plugin_folder=None,
          disable_token=False, models=None, enable_model_api=False):
    """Starts a server in the background, instead of one that may be running already.

    Returns the queue of the lines that it prints from then on, None at their end."""
    stop()
    command = ["torchserve", "--start"]
    for flag, value in (("--model-store", model_store), ("--plugins-path", plugin_folder),
                        ("--ts-config", snapshot_file)):
        command += [flag, value] if value else []
    for flag, wanted in (("--no-config-snapshots", no_config_snapshots),
                         ("--disable-token-auth", disable_token),
                         ("--enable-model-api", enable_model_api)):
        command += [flag] if wanted else []
    if models:
        command += ["--models"] + ([models] if isinstance(models, str) else list(models))
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")
    for line in server.stdout:
        print(line.strip())
        if "Model server started" in line:
            break
    else:
        raise RuntimeError("the server did not start (exit code %d): %s"
                           % (server.wait(), " ".join(command)))
    splitter = Tee(server.stdout)
    splitter.start()
    PrintTillTheEnd(splitter.queue1).start()
    return splitter.queue2


def register_model_with_params(params):
    """POST /models with these query parameters: a dict, or pairs. Returns a requests.Response, or
    where that package is not installed what has its face."""
    url = _MANAGEMENT + "/models"
    try:
        import requests
    except ImportError:
        from ts.utils import http_response

        return http_response.post(url, params)
    with requests.Session() as session:
        session.trust_env = False       # a proxy does not lead to this machine
        return session.post(url, params=params)


def register_model(model_name, url):
    """Registers a model with one worker, and waits for it."""
    return register_model_with_params((("model_name", model_name), ("url", url),
                                       ("initial_workers", "1"), ("synchronous", "true")))
