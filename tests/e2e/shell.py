# SPDX-License-Identifier: Apache-2.0
"""A folder in which commands are run as a user types them."""

import os
import signal
import subprocess
import tempfile

import requests

from e2e.archives import make_mar
from e2e.server import BIN, PYTHON, free_ports, marked_processes


class Shell:
    """A folder with a model store and a config.properties, in which commands are run."""

    def __init__(self, root):
        self.root = root
        self.inference, self.management, self.metrics = free_ports(3)
        self.mark = f"cli-{os.getpid()}-{self.inference}"
        self.store = root / "store"
        make_mar(self.store, "echo", "echo.py")
        (root / "tmp").mkdir()
        self.config = root / "config.properties"
        self.configure()

    def configure(self, *lines):
        own = [f"inference_address=http://127.0.0.1:{self.inference}",
               f"management_address=http://127.0.0.1:{self.management}",
               f"metrics_address=http://127.0.0.1:{self.metrics}",
               "default_workers_per_model=1", f"python={PYTHON}"]
        self.config.write_text("\n".join([*own, *lines]) + "\n")

    @property
    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("TS_")}
        return {**env, "TEMP": str(self.root / "tmp"), "LOG_LOCATION": str(self.root / "logs"),
                "SCONCE_E2E_MARK": self.mark}

    def start(self, *command, **options):
        environment = {**self.environment, **options.pop("environment", {})}
        environment = {k: v for k, v in environment.items() if v is not None}
        return subprocess.Popen([BIN / command[0], *command[1:]], cwd=self.root, text=True,
                                env=environment,
                                stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                                stdout=options.pop("stdout", subprocess.PIPE), **options)

    def run(self, *command, **options):
        """Its code and output. A server that it leaves behind may keep the output open."""
        with tempfile.TemporaryFile("w+") as output:
            process = self.start(*command, **options, stdout=output)
            process.wait(timeout=30)
            output.seek(0)
            return process.returncode, output.read()

    def serves(self):
        try:
            return requests.post(f"http://127.0.0.1:{self.inference}/predictions/echo", data=b"x",
                                 timeout=10).text == "x"
        except requests.ConnectionError:
            return False

    def clean(self):
        for pid, _ in marked_processes(self.mark):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
