# SPDX-License-Identifier: Apache-2.0
"""The archives and the configurations that cases run with."""

from dataclasses import dataclass, field

from e2e.archives import make_mar


@dataclass(frozen=True)
class Configuration:
    """Settings that both servers read from their config.properties."""

    models: tuple = ()      # archives to load at start, with one worker each
    settings: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)
    combined: bool = False  # inference and management on one listener


PLAIN = {"disable_token_authorization": "true", "enable_model_api": "true",
         "metrics_mode": "prometheus", "disable_system_metrics": "true"}

CONFIGURATIONS = {
    "plain": Configuration(
        tuple(f"{name}={name}.mar" for name in
              ("see", "dress", "kinds", "trouble", "fatal", "stream", "count")),
        {**PLAIN, "job_queue_size": 5}),
}


def build_store(folder):
    """All archives; a configuration loads the ones that it names."""
    for name in ("see", "dress", "kinds", "trouble", "stream", "talk", "echo", "count"):
        make_mar(folder, name, f"{name}.py")
    make_mar(folder, "fatal", "trouble.py")
    return folder
