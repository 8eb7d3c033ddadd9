# SPDX-License-Identifier: Apache-2.0
"""The command line: `sconce` and the `torchserve` that scripts already call."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess

import pytest
import requests

from e2e.archives import make_mar
from e2e.gate import background
from e2e.server import BIN, eventually, free_ports, marked_processes

# ---- torchserve ----

def test_version(shell):
    for command in (["torchserve", "--version"], ["torchserve", "-v"], ["sconce", "--version"]):
        code, output = shell.run(*command)
        assert code == 0
        assert re.search(r"\d+\.\d+", output)
    assert shell.run("torchserve", "--version")[1].startswith("TorchServe Version is ")


def test_start_and_stop(shell):
    arguments = ["--model-store", str(shell.store), "--models", "all", "--disable-token-auth"]
    code, output = shell.run("torchserve", "--start", "--ncs", *arguments)
    assert code == 0, output
    assert "Model server started." in output
    pid_file = shell.root / "tmp" / ".model_server.pid"
    assert int(pid_file.read_text()) in [pid for pid, _ in marked_processes(shell.mark)]
    eventually(shell.serves)

    code, output = shell.run("torchserve", "--start", *arguments)
    assert code == 1
    assert ("TorchServe is already running, please use torchserve --stop to stop TorchServe."
            in output)

    code, output = shell.run("torchserve", "--stop")
    assert code == 0 and output.endswith("TorchServe has stopped.\n")
    assert not marked_processes(shell.mark)
    assert not pid_file.exists()
    code, output = shell.run("torchserve", "--stop")
    assert "TorchServe is not currently running." in output


def test_stop_waits_for_the_end(shell, torchserve, gate):
    """A script's `--stop && --start` finds the place free, also when requests are in flight."""
    make_mar(shell.store, "gate", "gate.py")
    arguments = ["--ncs", "--model-store", str(shell.store), "--models", "gate.mar", "--dt"]
    torchserve(*arguments)
    eventually(lambda: '"READY"' in requests.get(
        f"http://127.0.0.1:{shell.management}/models/gate", timeout=10).text)
    call = background(requests.post, f"http://127.0.0.1:{shell.inference}/predictions/gate",
                      data=gate.body(), timeout=60)
    gate.wait_entered()
    said = shell.root / "said"
    with said.open("w") as output:
        stop = shell.start("torchserve", "--stop", stdout=output)
    eventually(lambda: "Waiting for the server (process " in said.read_text(), said.read_text)
    assert stop.poll() is None
    assert "requests in flight, at most 60 s" in said.read_text()
    gate.open()
    assert stop.wait(timeout=30) == 0
    assert said.read_text().endswith("TorchServe has stopped.\n")
    assert not (shell.root / "tmp" / ".model_server.pid").exists()
    assert call.result().status_code == 200
    torchserve(*arguments)


def test_stop_finds_its_server_whatever_is_wrong_with_the_settings(shell, torchserve):
    torchserve("--ncs", "--model-store", str(shell.store), "--models", "none", "--dt")
    shell.configure("job_queue_size=many", "retry=2")
    code, output = shell.run("torchserve", "--stop")
    assert code == 0 and output.endswith("TorchServe has stopped.\n")
    assert not marked_processes(shell.mark)


def test_foreground(shell):
    process = shell.start("torchserve", "--start", "--foreground", "--model-store",
                          str(shell.store), "--models", "echo.mar", "--ncs", "--disable-token-auth")
    eventually(shell.serves)
    code, output = shell.run("torchserve", "--stop", "--foreground")
    assert code == 0 and output.endswith("TorchServe has stopped.\n")
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert not marked_processes(shell.mark)


def test_stale_pid_file(shell):
    pid_file = shell.root / "tmp" / ".model_server.pid"
    ended = subprocess.Popen(["true"])
    ended.wait()
    pid_file.write_text(f"{ended.pid}\n")
    code, output = shell.run("torchserve", "--stop")
    assert "TorchServe already stopped." in output or "not currently running" in output
    pid_file.write_text(f"{ended.pid}\n")
    code, output = shell.run("torchserve", "--start", "--ncs", "--model-store", str(shell.store),
                             "--disable-token-auth")
    assert code == 0 and "Removing orphan pid file." in output
    assert shell.run("torchserve", "--stop")[0] == 0


def test_garbage_in_the_pid_file_kills_nobody(shell):
    pid_file = shell.root / "tmp" / ".model_server.pid"
    for text in ("", "garbage", "-1", "0", "1 2 3", "99999999999999999999", str(os.getpid())):
        pid_file.write_text(text)
        shell.run("torchserve", "--stop")
    assert True, "this test is still alive"


@pytest.mark.parametrize("arguments,message", [
    (["--start"], "Missing mandatory parameter --model-store"),
    (["--start", "--model-store", "/no/such/folder"],
     "--model-store directory not found: /no/such/folder"),
    (["--start", "--ts-config", "/no/such/file", "--model-store", "/"],
     "--ts-config file not found: /no/such/file"),
])
def test_what_is_missing(shell, arguments, message):
    code, output = shell.run("torchserve", *arguments, environment={"TS_CONFIG_FILE": ""})
    assert code == 1
    assert message in output


def test_files_that_are_missing(shell):
    for flag, what in (("--log-config", "file"), ("--cpp-log-config", "file"),
                       ("--ts-config", "file"), ("--workflow-store", "directory")):
        code, output = shell.run("torchserve", "--model-store", str(shell.store), flag, "/no/such")
        assert (code, output) == (1, f"{flag} {what} not found: /no/such\n")
    code, output = shell.run("torchserve", "--start", environment={"TEMP": "/no/such"})
    assert (code, output) == (1, "Invalid temp directory: /no/such, please check TEMP environment "
                                 "variable.\n")


@pytest.mark.parametrize("line,environment,said", [
    ("model_store=/no/such", {}, "config.properties:6: model_store: directory not found: /no/such"),
    ("enable_envvars_config=true", {"TS_MODEL_STORE": "/no/such"},
     "TS_MODEL_STORE: directory not found: /no/such"),
    ("", {"TS_CONFIG_FILE": "/no/such"}, "TS_CONFIG_FILE file not found: /no/such")])
def test_no_flag_is_blamed_that_nobody_typed(shell, line, environment, said):
    shell.configure(line)
    assert shell.run("torchserve", "--ncs", environment=environment) == (1, said + "\n")


def test_workflow_store_that_is_not_there(shell, torchserve):
    """Images of TorchServe name one that is not in other images."""
    shell.configure("workflow_store=/no/such")
    output = torchserve("--ncs", "--model-store", str(shell.store), "--models", "none", "--dt")
    assert ("warning: config.properties:6: workflow_store: there is no folder /no/such; workflows "
            "are not served by this version\n") in output


def test_log_location_leaves_the_metrics_where_they_are(shell, torchserve):
    torchserve("--ncs", "--model-store", str(shell.store), "--models", "none", "--dt",
               environment={"LOG_LOCATION": str(shell.root / "elsewhere")})
    names = [sorted(p.name for p in (shell.root / folder).glob("*.log"))
             for folder in ("elsewhere", "logs")]
    assert names == [["access_log.log", "model_log.log", "ts_log.log"],
                     ["model_metrics.log", "ts_metrics.log"]]


def test_keys_without_effect_are_told_in_one_line(shell, torchserve):
    shell.configure("grpc_inference_port=7070", "grpc_management_port=7071")
    torchserve("--ncs", "--model-store", str(shell.store), "--models", "none", "--dt")

    def warnings():
        log = (shell.root / "logs" / "ts_log.log").read_text()
        return [line for line in log.splitlines() if "[WARN ]" in line]
    line, = eventually(warnings, "the log's thread has written them")
    assert line.endswith("grpc_inference_port, grpc_management_port are set but have no effect "
                         "(gRPC is not served by this version; the REST calls are)")


def test_invalid_configuration(shell):
    shell.configure("job_queue_size=many", "metrics_mode=sideways")
    code, output = shell.run("torchserve", "--model-store", str(shell.store))
    assert code == 1
    assert output == (
        "Invalid configuration: config.properties:6: job_queue_size: 'many' is not a number; "
        "allowed: 1..1000000\n"
        "Invalid configuration: config.properties:7: metrics_mode: 'sideways' is not a choice; "
        "allowed: prometheus|log|legacy\n")
    # It does not keep a server from being stopped.
    assert shell.run("torchserve", "--stop")[1] == "TorchServe is not currently running.\n"


@pytest.mark.parametrize("arguments,message", [
    (["--frobnicate"], "unrecognized arguments: --frobnicate"),
    (["frobnicate"], "unrecognized arguments: frobnicate"),
    (["--ts-config"], "argument --ts-config: expected one argument"),
    (["--models"], "argument --models: expected at least one argument"),
    (["--model"], "ambiguous option: --model"),
    (["--start", "--stop"], "argument --stop: not allowed with argument --start"),
])
def test_usage_of_torchserve(shell, arguments, message):
    code, output = shell.run("torchserve", *arguments)
    assert code == 2
    assert output.startswith("usage: torchserve ")
    assert f"torchserve: error: {message}" in output


def test_typing_mistakes(shell):
    for command, meant in (("serv", "'serve'"), ("achive", "'archive'")):
        code, output = shell.run("sconce", command)
        assert code == 2 and f"did you mean {meant}?" in output
    code, output = shell.run("sconce", "serve", "--job-queu-size=1")
    assert "Invalid configuration: --job-queu-size: no setting is called 'job-queu-size'" in output
    code, output = shell.run("sconce", "serve", "--foreground")
    assert code == 2 and "there is no flag --foreground; `sconce serve --help`" in output
    for arguments in (("torchserve", "--foo"), ("sconce", "key")):
        code, output = shell.run(*arguments)
        assert code == 2 and "id you mean" not in output, "nothing is like that"
    code, output = shell.run("sconce", "serve", "--job-queu-size", "1")
    assert code == 2 and "did you mean 'job_queue_size'?" in output


@pytest.fixture
def torchserve(shell):
    """Starts one in the background; returns what it printed. Stopped at the end."""
    def start(*flags, **options):
        code, output = shell.run("torchserve", "--start", *flags, **options)
        assert code == 0, output
        assert "\nModel server started.\n" in "\n" + output
        return output
    yield start
    shell.run("torchserve", "--stop", "--foreground")


def models(shell):
    response = requests.get(f"http://127.0.0.1:{shell.management}/models", timeout=10)
    return [m["modelName"] for m in response.json()["models"]]


def test_environment_wins_over_flags(shell, torchserve):
    shell.configure("enable_envvars_config=true", "allowed_urls=file://x")
    make_mar(shell.root / "other", "other", "echo.py")
    torchserve("--ncs", "--model-store", str(shell.store), "--models", "echo.mar",
               environment={"TS_MODEL_STORE": str(shell.root / "other"), "TS_LOAD_MODELS": "ALL",
                            "TS_DISABLE_TOKEN_AUTHORIZATION": "true",
                            "TS_ALLOWED_URLS": "http://.*"})
    eventually(lambda: models(shell) == ["other"])
    log = (shell.root / "logs" / "ts_log.log").read_text()
    assert "Allowed Urls: [file://x]" in log


def test_banner_and_flags_without_effect(shell, torchserve):
    shell.configure("vmargs=-Xmx1g", "blacklist_env_vars=SECRET.*")
    log_config = shell.root / "log4j2.xml"
    log_config.write_text("<Configuration/>")
    output = torchserve("--ncs", "--ts-config", "config.properties", "--model-store",
                        str(shell.store), "--log-config", str(log_config), "--ppath", "/plugins",
                        "--models", "one=echo.mar", "two=echo.mar", "--dt")
    assert "warning: --plugins-path has no effect: " in output
    assert "warning: --log-config has no effect: " in output
    eventually(lambda: models(shell) == ["one", "two"])
    log = (shell.root / "logs" / "ts_log.log").read_text()
    assert "vmargs is set but has no effect (" in log
    for line in ("Torchserve version: 0.12.0", f"Current directory: {shell.root}",
                 f"Temp directory: {shell.root / 'tmp'}", "Number of GPUs: ", "Number of CPUs: ",
                 "Config file: config.properties",
                 f"Inference address: http://127.0.0.1:{shell.inference}",
                 f"Management address: http://127.0.0.1:{shell.management}",
                 f"Metrics address: http://127.0.0.1:{shell.metrics}",
                 f"Model Store: {shell.store}", "Initial Models: one=echo.mar,two=echo.mar",
                 f"Log dir: {shell.root / 'logs'}", "Default workers per model: 1",
                 "Blacklist Regex: SECRET.*", "Maximum Request Size: 6553500",
                 "Metrics mode: LOG", "Model API enabled: false"):
        assert f" - {line}" in log, line


@pytest.mark.parametrize("command", [
    ["torchserve", "--start", "--frobnicate"], ["torchserve", "--start", "--stop"],
    ["sconce", "frobnicate"], ["sconce", "serve", "--no-such-setting", "1"],
    ["sconce", "serve", "--job-queue-size", "many"], ["sconce", "serve", "--job-queue-size"]])
def test_wrong_flags(shell, command):
    code, output = shell.run(*command)
    assert code not in (0, None) and code > 0
    wrong = command[-1] if command[-1] not in ("1", "many") else command[-2]
    assert wrong.lstrip("-").replace("-", "_") in output.replace("-", "_"), output
    assert not marked_processes(shell.mark)


def test_help(shell):
    for command in (["sconce", "--help"], ["sconce", "serve", "--help"], ["torchserve", "--help"]):
        code, output = shell.run(*command)
        assert code == 0 and output
    output = shell.run("sconce", "serve", "--help")[1]
    for key in ("inference", "model-store", "job-queue-size", "max-request-size"):
        assert key in output.replace("_", "-")


HELP = ["", "serve", "models", "archive", "torchserve", "logs", "settings", "completion", "version",
        *(f"models {name}" for name in ("list", "describe", "register", "scale", "set-default",
                                        "unregister", "token"))]


@pytest.mark.parametrize("command", HELP)
def test_help_of_every_command(shell, command):
    """The same by `help` and by --help, within 80 columns."""
    code, output = shell.run("sconce", "help", *command.split())
    assert (code, output) == shell.run("sconce", *command.split(), "--help")
    assert code == 0
    assert output.startswith("usage: ")
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.parametrize("command", [
    *(f"sconce {name} --help" for name in HELP), "torchserve --help", "torchserve --version",
    "torch-model-archiver --help", "sconce settings", "sconce completion zsh", "sconce version"])
def test_output_that_cannot_be_written_is_a_failure(command):
    with open("/dev/full", "w") as full:
        program, *arguments = command.split()
        done = subprocess.run([BIN / program, *arguments], stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("The output cannot be written")


@pytest.mark.parametrize("command", [
    ["sconce"], ["sconce", "models", "list", "--"], ["torchserve"],
    ["torch-model-archiver", "--model-name"], ["torchserve", "--start", "--ts-config"]])
def test_nothing_printed_moves_the_cursor(shell, command):
    hostile = b"a\x1b[2J\x1b]0;owned\x07\xc2\x9b31m\x9b\xe2\x80\xae"
    done = subprocess.run([BIN / command[0], *command[1:], hostile], cwd=shell.root,
                          env=shell.environment, capture_output=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and said
    for byte in (b"\x1b", b"\x07", b"\x9b", b"\xae"):
        assert byte not in said, said


# ---- configuration ----

def serve_command(shell, *more):
    return ["sconce", "serve", "--ts-config", str(shell.config), "--model-store",
            str(shell.store), "--load-models", "all", "--disable-token-authorization", "true",
            *more]


@pytest.mark.parametrize("line,key", [
    ("job_queue_size=many", "job_queue_size"), ("metrics_mode=sideways", "metrics_mode"),
    ("retry=perhaps", "retry"),
    ("max_request_size=-1", "max_request_size")])
def test_bad_value_in_a_file(shell, line, key):
    shell.configure("# a comment", line)
    code, output = shell.run(*serve_command(shell))
    assert code == 2
    assert re.search(rf"config\.properties:7: {key}: .+", output), output


def test_unknown_key_in_a_file_only_warns(shell):
    shell.configure("no_such_key=1", "vmargs=-Xmx1g")
    process = shell.start(*serve_command(shell))
    try:
        eventually(shell.serves)
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert re.search(r"warning: .*config\.properties:6: .*'no_such_key'", output, re.I), output
    assert "vmargs:" not in output


def serve_once(shell, *more):
    """Starts it, and returns what it printed and how it described the model."""
    process = shell.start(*serve_command(shell, *more))
    try:
        eventually(shell.serves)
        model, = requests.get(f"http://127.0.0.1:{shell.management}/models/echo", timeout=10).json()
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    return output, model


def test_hyphens_do_not_belong_into_files(shell):
    """The address that is meant stays, and nothing listens where nobody asked for it."""
    elsewhere, = free_ports(1)
    shell.configure(f"inference-address=http://0.0.0.0:{elsewhere}")
    output, _ = serve_once(shell)
    assert re.search(r"warning: .*config\.properties:6: no setting is called 'inference-address'; "
                     r"did you mean 'inference_address'\?", output), output
    assert str(elsewhere) not in (shell.root / "logs" / "ts_log.log").read_text()


def test_truth_values_of_java(shell):
    shell.configure("async_logging=2", "decode_input_request=yes")
    output, _ = serve_once(shell)
    for line, key, value in ((6, "async_logging", "2"), (7, "decode_input_request", "yes")):
        assert f"config.properties:{line}: {key}: '{value}' is not a truth value and counts as " \
               "false" in output


@pytest.mark.parametrize("parameters,expected,said", [
    ('{"maxWorkers": 3}', {"minWorkers": 1, "maxWorkers": 3}, []),
    ('{"minWorkers": 0, "minWorker": 2}', {"minWorkers": 1, "maxWorkers": 1}, [
        "models: model echo, version 1.0: minWorkers: 0 counts as 1",
        "minWorker: is not known and has no effect; did you mean 'minWorkers'?"]),
    ('{"minWorkers": 2.0, "batchSize": "4.0", "maxBatchDelay": 1e+03, "responseTimeout": "7 "} ',
     {"minWorkers": 2, "batchSize": 4, "maxBatchDelay": 1000, "responseTimeout": 7}, []),
])
def test_models_as_templates_render_them(shell, parameters, expected, said):
    shell.configure('models={"echo": {"1.0": ' + parameters + "}}")
    output, model = serve_once(shell)
    assert {key: model[key] for key in expected} == expected
    for text in said:
        assert re.search(rf"warning: .*config\.properties:6: .*{re.escape(text)}", output), output
    assert said or "warning: " not in output


def test_model_config_as_templates_render_it(shell):
    make_mar(shell.store, "echo", "echo.py", config='minWorkers: "2"\nmaxWorkers: 2.0\n'
             "batchSize: 1e+01\nmaxBatchDelay: 1.5\nstartupTimeout: soon\n"
             "respnseTimeout: 7\nlabels: [a]\n")
    output, model = serve_once(shell)
    assert (model["minWorkers"], model["maxWorkers"], model["batchSize"]) == (2, 2, 10)
    said = [line.split("echo version 1.0: model-config.yaml: ")[1]
            for line in (shell.root / "logs/ts_log.log").read_text().splitlines()
            if "model-config.yaml" in line]
    assert said == [
        "line 4: maxBatchDelay is ignored: it is \"1.5\", and must be a whole number",
        "line 5: startupTimeout is ignored: it is \"soon\", and must be a whole number",
        "line 6: the server knows no \"respnseTimeout\", only the handler sees it; did you mean "
        "responseTimeout?"]
    assert "WARN ] main sconce - Model echo version 1.0: model-config.yaml: line 4" in output


def test_missing_environment_variable(shell):
    shell.configure("job_queue_size=$$NO_SUCH_VARIABLE$$")
    code, output = shell.run(*serve_command(shell))
    assert code == 2
    assert "NO_SUCH_VARIABLE" in output


def test_flag_wins_over_environment_wins_over_file(shell):
    shell.configure("job_queue_size=11", "default_response_timeout=12", "max_request_size=1000")
    process = shell.start(*serve_command(shell, "--job-queue-size", "31"), environment={
        "SCONCE_JOB_QUEUE_SIZE": "21", "SCONCE_DEFAULT_RESPONSE_TIMEOUT": "22"})
    try:
        eventually(shell.serves)
        model, = requests.get(f"http://127.0.0.1:{shell.management}/models/echo", timeout=10).json()
        assert model["jobQueueStatus"]["remainingCapacity"] == 31
        assert model["responseTimeout"] == 22
        assert requests.post(f"http://127.0.0.1:{shell.inference}/predictions/echo",
                             data=b"x" * 1001, timeout=10).status_code == 413
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_address_in_use(shell):
    first = shell.start(*serve_command(shell))
    try:
        eventually(shell.serves)
        code, output = shell.run(*serve_command(shell))
        assert code == 1
        assert f"127.0.0.1:{shell.inference}" in output
        assert shell.serves()
    finally:
        first.terminate()
        first.communicate(timeout=20)


def test_models_are_not_unpacked_where_others_write(shell):
    folder = shell.root / "tmp" / "models"
    folder.mkdir()
    folder.chmod(0o777)
    code, output = shell.run(*serve_command(shell))
    assert code == 1
    assert (f"cannot start: every user may write to {folder}, who could replace the models that "
            "are unpacked there; let TEMP or tmp_dir name a folder of the server's own") in output


def full_pipe():
    """Both ends of one. Whoever writes to it waits."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    return reader, writer


def test_a_start_that_failed_is_ended_by_a_signal(shell):
    """It has not said why yet: nobody reads that."""
    folder = shell.root / "tmp" / "models"
    folder.mkdir()
    folder.chmod(0o777)
    reader, writer = full_pipe()
    process = shell.start(*serve_command(shell), stdout=writer)
    try:
        log = shell.root / "logs" / "ts_log.log"
        eventually(lambda: log.exists() and "The server cannot start" in log.read_text())
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM
    finally:
        process.kill()
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:99999", "ftp://127.0.0.1:1",
                                     "http://no.such.host.invalid:1"])
def test_bad_address(shell, address):
    code, output = shell.run(*serve_command(shell, "--inference-address", address))
    assert code in (1, 2)
    assert address in output or "inference" in output


@pytest.mark.parametrize("python,why", [
    ("/bin/false", ""), ("/bin/true", ""), ("/bin/echo", ""),
    ("/no/such/python", ": there is no such file"),
    ("/etc/passwd", ": it cannot be executed"),
    ("no_such_python", "; it is not on the PATH, or too old"),
])
def test_python_that_does_not_run(shell, python, why):
    code, output = shell.run(*serve_command(shell, "--python", python))
    assert code == 1
    assert (f"sconce: cannot start: --python: '{python}' is not a Python 3.9 or newer that runs"
            f"{why}\n" in output)


def without_privileges():
    """root may read everything; a program that it starts then may not."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):           # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)     # PR_CAPBSET_DROP


@pytest.mark.parametrize("why", ["Not a directory", "Permission denied",
                                 "No such file or directory"])
def test_model_store_that_cannot_be_read(shell, why):
    store = shell.root / "closed"
    if why == "Permission denied":
        store.mkdir(mode=0)
    elif why == "Not a directory":
        store.touch()
    code, output = shell.run(*serve_command(shell, "--model-store", str(store)),
                             preexec_fn=without_privileges)
    assert code == 1
    assert (f"sconce: cannot start: --model-store: the folder {store} cannot be read: {why}\n"
            in output)


def test_snapshot_is_not_needed(shell):
    """The newest snapshot of an earlier run must not be taken over the file that was named."""
    snapshots = shell.root / "logs" / "config"
    snapshots.mkdir(parents=True)
    (snapshots / "20260101000000000-shutdown.cfg").write_text("inference_address=http://nonsense\n")
    process = shell.start(*serve_command(shell))
    try:
        eventually(shell.serves)
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0
