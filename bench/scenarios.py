# SPDX-License-Identifier: Apache-2.0
"""What is measured. Every server gets the same archives and the same requests."""

import native
from kinds import (Image, Load, LogMode, Many, Memory, Metric, OpenLoop, Optimized, Own, Ping,
                   Recovery, Restart, cpu, rate)

ECHO = Load("", ())
IMAGE = Image("EfficientNet-lite0 from a photograph, 2 workers, 8 clients",
              (rate(140), cpu(), Metric("p99", "p99, ms", digits=1)))
OPTIMIZED = (rate(), cpu(), Metric("p99", "p99, ms", digits=1))
OPTIMIZED_IMAGE = Optimized("", ())
COMPOSE = (rate(), Metric("rate_beside", "… native: never", more=True), cpu(),
           Metric("cpu_beside", "… native: never", digits=3),
           Metric("share", "times its requests/s", more=True, wanted=1.5, digits=2))
START = "start to first answer, s"
AGAIN = "worker killed to next answer, s"

SCENARIOS = {
    "noop1": Load("a handler that does nothing, 1 KB, 1 worker, 16 clients",
                  (rate(30000), cpu())),
    "logmode": LogMode("noop1, metrics in the log, beside metrics_mode=prometheus",
                       (rate(), Metric("rate_beside", "… prometheus", more=True), cpu(),
                        Metric("cpu_beside", "… prometheus", digits=3),
                        Metric("share", "share of its requests/s", more=True, wanted=0.95,
                               digits=3))),
    "noop8": Load("the same, batches of 8, 64 clients", (rate(), cpu()), clients=64, batch=8),
    "noop32": Load("the same, batches of 32, 64 clients", (rate(40000), cpu()), clients=64,
                   batch=32),
    "body600k": Load("the same, 600 KB in and out, 16 clients", (rate(3000), cpu()), size=600000),
    "ping": Ping("health check, 64 clients", (rate(110000), cpu())),
    "openloop": OpenLoop("1 KB at a fixed 840 requests/s",
                         (Metric("p50", "p50, ms", wanted=0.2, digits=2),
                          Metric("p99", "p99, ms", wanted=1, digits=2))),
    "image": IMAGE,
    "optimized": Optimized("the same, after sconce optimize (fp32)", OPTIMIZED),
    "optimized-bf16": Optimized("the same, with bf16 allowed", OPTIMIZED, "--allow", "bf16",
                                "--accept"),
    "optimized-bare": native.OptimizedBeside(
        "after sconce optimize (fp32), beside engine, libjpeg and resize in a bare loop",
        (rate(), Metric("rate_beside", "… the loop", more=True), cpu(),
         Metric("cpu_beside", "… the loop", digits=3),
         Metric("share", "share of the loop's requests/s", more=True, wanted=0.95, digits=3))),
    "image-openloop": native.ImageOpenLoop("after sconce optimize, at a fixed 30 requests/s",
                                           (Metric("p50", "p50, ms", wanted=9, digits=2),
                                            Metric("p99", "p99, ms", wanted=15, digits=2))),
    "image-large": native.Large("EfficientNet-lite0 from a photograph of 12 megapixels",
                                OPTIMIZED),
    "image-scaled": native.Scaled("the same, decoded smaller, after sconce optimize", OPTIMIZED),
    "compose": native.Compose(
        "a handler with torchvision's Compose, unchanged, beside native: never", COMPOSE),
    "compose-optimized": native.Compose(
        "the same, its model after sconce optimize", COMPOSE, optimized=True),
    "own": Own("the same model under a handler of its own, as it is", OPTIMIZED),
    "own-optimized": Optimized("a handler of its own, after sconce optimize (fp32)", OPTIMIZED,
                               handler="photo.py"),
    "memory-optimized": Memory("EfficientNet-lite0 after sconce optimize, 2 workers",
                               (Metric("pss", "memory (PSS), MiB"),), OPTIMIZED_IMAGE),
    "native-noop": native.NoOp("an engine that does nothing, 1 KB, beside the handler that does",
                               (rate(), Metric("rate_beside", "… the handler", more=True), cpu(),
                                Metric("cpu_beside", "… the handler", digits=3),
                                Metric("share", "times the handler's requests/s", more=True,
                                       wanted=1.5, digits=2))),
    "engine-path": native.EnginePath(
        "ONNX Runtime, from a tensor to five classes, beside a bare loop",
        (rate(), Metric("rate_beside", "… the loop", more=True), cpu(),
         Metric("cpu_beside", "… the loop", digits=3),
         Metric("share", "share of the loop's requests/s", more=True, wanted=0.95, digits=3))),
    "start": Restart("a handler that does nothing", (Metric("start", START, False, 0.2, 2),), ECHO),
    "start-image": Restart("EfficientNet-lite0", (Metric("start", START, False, 0.6, 2),), IMAGE),
    "recovery": Recovery("a handler that does nothing",
                         (Metric("recovery", AGAIN, False, 0.2, 2),), ECHO),
    "recovery-image": Recovery("EfficientNet-lite0",
                               (Metric("recovery", AGAIN, False, 1, 2),), IMAGE),
    "memory": Memory("a handler that does nothing, 2 workers",
                     (Metric("pss", "memory (PSS), MiB", False, 60),), ECHO),
    "memory-image": Memory("EfficientNet-lite0, 2 workers",
                           (Metric("pss", "memory (PSS), MiB", False, 350),), IMAGE),
    "start-optimized": Restart("EfficientNet-lite0 after sconce optimize",
                               (Metric("start", START, False, 0.4, 2),), OPTIMIZED_IMAGE),
    "recovery-optimized": Recovery("EfficientNet-lite0 after sconce optimize",
                                   (Metric("recovery", AGAIN, False, 0.4, 2),), OPTIMIZED_IMAGE),
    "models20": Many("20 models that do nothing, 1 worker each",
                     (Metric("start", START + " of each", False, 1.5, 2),
                      Metric("pss", "memory (PSS), MiB", False, 300)), ECHO),
}
