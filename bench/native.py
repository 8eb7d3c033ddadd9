# SPDX-License-Identifier: Apache-2.0
"""Models without Python: beside the Python handler, and beside their engine in a bare loop."""

import json
import subprocess

import models
from kinds import STORES, Image, Load, OpenLoop, Optimized
from servers import ROOT

BARE = ROOT / "build" / "bench" / "bare" / "bare"
ENGINES = ROOT / "build" / "engines"
INSTANCES = 2
RAW = "application/octet-stream"


class Beside(Load):
    """Two loads in each round, one after the other: `share` says how many times faster ours is."""

    peers = ()

    def beside(self, server, seconds):
        """What our figures are compared with, as measure() tells them."""
        raise NotImplementedError

    def measure(self, server, seconds):
        found = super().measure(server, seconds)
        other = self.beside(server, seconds)
        return {**found, "failed": found["failed"] + other["failed"],
                "disturbed": found["disturbed"] or other["disturbed"],
                "rate_beside": other["rate"], "cpu_beside": other["cpu"],
                "share": found["rate"] / other["rate"]}


class NoOp(Beside):
    """The engine that answers what it is sent, and the handler that does."""

    def __init__(self, title, metrics):
        super().__init__(title, metrics, model="native")
        self.archive, self.kinds = "native", (RAW, RAW)
        self.python = Load("", ())

    def check(self, server):
        status, answer = server.call("POST", self.path, self.body().read_bytes(), accept=RAW)
        assert status == 200 and answer == self.body().read_bytes(), (status, answer[:200])

    def store(self):
        return models.native_echo(models.echo_store(STORES / "native"), "native")

    def begin(self, server):
        super().begin(server)
        server.register(self.python.model, 1)
        self.python.check(server)
        self.python.load(server, server.warm_up)
        server.settle()

    def beside(self, server, seconds):
        return Load.measure(self.python, server, seconds)


class EnginePath(Beside):
    """A tensor in, five classes out, by ONNX Runtime; and the same in a loop that serves nobody."""

    def __init__(self, title, metrics):
        super().__init__(title, metrics, model="classes", clients=8, workers=INSTANCES)
        self.archive = "classes"

    def store(self):
        return models.onnx_store(STORES / "classes")

    def body(self):
        return models.tensor_file()

    def check(self, server):
        status, answer = server.call("POST", self.path, self.body().read_bytes())
        assert status == 200 and len(json.loads(answer)) == 5, (status, answer[:500])

    def begin(self, server):
        server.python = models.OPTIMIZE_PYTHON
        super().begin(server)

    def beside(self, server, seconds):
        return bare_loop(self.store() / "model.onnx", self.body(), seconds)


class OptimizedBeside(Optimized, Beside):
    """What `sconce optimize` has made, and the same work in a loop that serves nobody."""

    peers = ()

    def beside(self, server, seconds):
        return bare_loop(models.onnx_store(STORES / "classes") / "model.onnx", self.body(),
                         seconds, "openvino")


class Large(Image):
    """A photograph of twelve megapixels."""

    def body(self):
        return models.large_photo(self.assets.photo)


class Scaled(Optimized):
    """The same; what `sconce optimize` has made of an archive that says `scaled` in its pipeline,
    while TorchServe gets the archive as it is."""

    def __init__(self, title, metrics):
        super().__init__(title, metrics)
        self.place = STORES / "scaled"

    def store_for(self, server):
        whole = self.store()
        if server.name != "sconce":
            return whole
        models.image_store(self.place / "pipeline", self.assets, config=models.SCALED)
        server.python = models.OPTIMIZE_PYTHON
        self.made = self.made or models.optimized_store(
            self.place / "optimized", self.place / "pipeline" / "image.mar", self.assets.photo, ())
        return self.made

    def body(self):
        return models.large_photo(self.assets.photo)


class ImageOpenLoop(Optimized, OpenLoop):
    """Latency at a rate that every server can serve."""

    peers = ("torchserve-tuned",)
    RATE = 30


class Compose(Beside):
    """A handler with torchvision's transforms, unchanged: with our library, and without; its model
    as it is, or after `sconce optimize`."""

    def __init__(self, title, metrics, optimized=False):
        super().__init__(title, metrics, model="compose", clients=8, workers=INSTANCES)
        self.assets, self.optimized = None, optimized
        self.plain = Load("", (), model="plain", clients=8, workers=INSTANCES)
        self.plain.body = self.body

    def store(self):
        self.assets = self.assets or models.image_assets()
        for name, config in (("compose", None), ("plain", "native: never\n")):
            models.image_store(STORES / "compose", self.assets, "compose.py", name, config)
        return STORES / "compose"

    def store_optimized(self):
        place = STORES / "compose-optimized"
        for name in (self.model, self.plain.model):
            if not (place / f"{name}.mar").exists():
                models.optimized_store(place, self.store() / f"{name}.mar", self.body(), ())
        return place

    def body(self):
        return self.assets.photo

    def check(self, server):
        for model in (self.model, self.plain.model):
            status, answer = server.call("POST", f"/predictions/{model}",
                                         self.body().read_bytes())
            assert status == 200 and len(json.loads(answer)) == 5, (status, answer[:500])

    def begin(self, server):
        self.store()
        if self.optimized:
            server.python = models.OPTIMIZE_PYTHON
        server.start(self.store_optimized() if self.optimized else self.store())
        server.register(self.plain.model, self.plain.workers)
        server.register(self.model, self.workers)
        self.check(server)
        for load in (self, self.plain):
            load.load(server, server.warm_up)
        server.settle()

    def beside(self, server, seconds):
        return Load.measure(self.plain, server, seconds)


def bare_loop(model, body, seconds, engine="onnx"):
    done = subprocess.run(
        [str(BARE), str(ENGINES / f"{engine}.so"), str(model), str(body), "--python",
         str(models.OPTIMIZE_PYTHON), "--instances", str(INSTANCES), "--threads", "1",
         "--seconds", str(max(1, round(seconds)))], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return {"rate": found["requests"] / found["seconds"], "failed": 0, "disturbed": False,
            "cpu": 1000 * found["cpu"] / found["requests"]}
