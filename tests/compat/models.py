# SPDX-License-Identifier: Apache-2.0
"""The archives and the configurations that cases run with."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from e2e.archives import contents, make_folder, make_mar, make_tar


@dataclass(frozen=True)
class Configuration:
    """Settings that both servers read from their config.properties."""

    models: tuple = ()      # archives to load at start, with one worker each
    settings: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)
    combined: bool = False  # inference and management on one listener


MODELS = ('{"see": {"1.0": {"defaultVersion": true, "marName": "see.mar", "minWorkers": 1, '
          '"maxWorkers": 2, "batchSize": 3, "maxBatchDelay": 4, "responseTimeout": 55}}}')
SNAPSHOT = (
    '{"name": "kept.cfg", "modelCount": 2, "models": {'
    '"see": {"1.0": {"defaultVersion": false, "marName": "see.mar", "minWorkers": 1, '
    '"maxWorkers": 1, "batchSize": 2, "maxBatchDelay": 3, "responseTimeout": 44}, '
    '"2.0": {"defaultVersion": true, "marName": "see2.mar", "minWorkers": 0, "maxWorkers": 0, '
    '"batchSize": 1, "maxBatchDelay": 100, "responseTimeout": 120}}, '
    '"echo": {"1.0": {"defaultVersion": true, "marName": "echo.mar", "minWorkers": 0, '
    '"maxWorkers": 5, "batchSize": 9, "maxBatchDelay": 8, "responseTimeout": 7}}}}')
SETTINGS = {"TS_JOB_QUEUE_SIZE": "9", "TS_MAX_REQUEST_SIZE": "500", "TS_ENABLE_MODEL_API": "true",
            "TS_CORS_ALLOWED_ORIGIN": "https://e.example", "TS_DEFAULT_RESPONSE_TIMEOUT": "33",
            "JOB_QUEUE_SIZE": "11"}

HERE = Path(__file__).parent

PLAIN = {"disable_token_authorization": "true", "enable_model_api": "true",
         "metrics_mode": "prometheus", "disable_system_metrics": "true"}

CONFIGURATIONS = {
    "plain": Configuration(
        tuple(f"{name}={name}.mar" for name in
              ("see", "dress", "kinds", "trouble", "fatal", "pieces", "count", "measure")),
        {**PLAIN, "job_queue_size": 5, "model_metrics_auto_detect": "true"}),
    "manage": Configuration((), {**PLAIN, "default_workers_per_model": 0}),
    "guarded": Configuration(("see.mar", "trouble.mar"), {
        "max_request_size": 1000, "max_response_size": 100_000, "decode_input_request": "false",
        "ts_open_inference_protocol": "true", "disable_system_metrics": "true",
        "cors_allowed_origin": "https://a.example", "cors_allowed_methods": "GET, POST",
        "cors_allowed_headers": "X-Custom"}),
    "combined": Configuration(
        ("see.mar", "enveloped.mar", "measure.mar"),
        {**PLAIN, "metrics_mode": "log", "models": MODELS,
                  "model_metrics_auto_detect": "true"}, combined=True),
    "restored": Configuration((), {
        "disable_token_authorization": "true", "disable_system_metrics": "true",
        "enable_envvars_config": "true", "enable_model_api": "false", "job_queue_size": 7,
        "model_snapshot": SNAPSHOT}, SETTINGS),
    "queues": Configuration(("ledger.mar", "gate.mar", "ticket.mar", "hasty.mar"), PLAIN),
    **{f"envelope-{name}": Configuration(("taken.mar",), {**PLAIN, "service_envelope": name})
       for name in ("body", "json", "kserve", "kservev2")},
}


YAML = """minWorkers: 0
maxWorkers: 3
batchSize: 4
maxBatchDelay: 50
responseTimeout: 30
startupTimeout: 40
maxRetryTimeoutInSec: 60
clientTimeoutInMills: 70
jobQueueSize: 11
useJobTicket: false
deviceType: cpu
handler:
  mine: 1
"""
WRONG_YAML = """minWorkers: many
batchSize: 2.5
maxBatchDelay: "9"
responseTimeout: [1]
deviceType: 7
jobQueueSize: -3
unknown: 1
"""


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def build_odd(folder):
    """Archives with something about them."""
    make_mar(folder, "yaml", "see.py", config=YAML)
    make_mar(folder, "wrong", "see.py", config=WRONG_YAML)
    make_mar(folder, "see", "see.py", file="see2.mar", version="2.0")
    make_mar(folder / "elsewhere", "away", "see.py")
    make_folder(folder, "folder", "see.py")
    make_tar(folder, "tar", "see.py")
    make_mar(folder, "bad", "bad_import.py")
    files = contents("bare", "see.py")
    manifest = files.pop("MAR-INF/MANIFEST.json")
    write_zip(folder / "bare.mar", files)
    write_zip(folder / "unparsable.mar", {**files, "MAR-INF/MANIFEST.json": manifest[:-9]})
    write_zip(folder / "runtime.mar",
              {**files, "MAR-INF/MANIFEST.json": manifest.replace(b'"python"', b'"java"')})
    (folder / "nozip.mar").write_bytes(b"no archive at all")


SEQUENCES = """sequenceBatching: true
sequenceMaxIdleMSec: 60000
maxNumSequence: 8
maxSequenceJobQueueSize: 3
batchSize: 2
maxBatchDelay: 10
"""


def make_own(folder, name, handler, **options):
    """An archive of a handler that only these tests have."""
    make_mar(folder, name, (HERE / "handlers" / f"{handler}.py").read_text(), **options)


def build_store(folder):
    """All archives; a configuration loads the ones that it names."""
    for name in ("see", "dress", "kinds", "trouble", "stream", "talk", "echo", "count", "measure"):
        make_mar(folder, name, f"{name}.py")
    make_mar(folder, "fatal", "trouble.py")
    make_own(folder, "taken", "taken")
    make_own(folder, "enveloped", "taken", envelope="kserve")
    make_own(folder, "pieces", "pieces")
    make_own(folder, "ledger", "ledger", config=SEQUENCES)
    make_own(folder, "gate", "gate", config="jobQueueSize: 2\n")
    make_own(folder, "ticket", "gate", config="useJobTicket: true\n")
    make_own(folder, "hasty", "gate", config="responseTimeout: 1\n")
    build_odd(folder)
    return folder
