# SPDX-License-Identifier: Apache-2.0
"""Where settings come from, by what the commands and the start say."""

import re

import pytest
import requests

from e2e.server import eventually


@pytest.mark.parametrize("flag", ["--disable-token-auth", "--dt"])
def test_serve_takes_what_messages_recommend(shell, flag):
    """Names that `torchserve` has for settings."""
    process = shell.start("sconce", "serve", "--ncs", flag, "--model-store", str(shell.store),
                          "--load-models", "all")
    eventually(shell.serves)
    process.terminate()
    process.wait(timeout=30)
    assert not (shell.root / "logs" / "config").exists()
    assert not (shell.root / "key_file.json").exists()
    code, output = shell.run("sconce", "serve", "--ncs", flag + "=perhaps")
    assert code == 2
    assert (f"Invalid configuration: {flag}: disable_token_authorization: 'perhaps' is not a truth "
            "value; allowed: true|false\n") in output


# ---- snapshots and files ----

def models(shell):
    response = requests.get(f"http://127.0.0.1:{shell.management}/models", timeout=10)
    return [m["modelName"] for m in response.json()["models"]]


def start_log(shell):
    """What the last start logged."""
    text = (shell.root / "logs" / "ts_log.log").read_text()
    return text[text.rindex("Torchserve version: "):]


def snapshot(shell):
    files = (shell.root / "logs" / "config").glob("*.cfg")
    return max((f"logs/config/{p.name}" for p in files), default=None)


@pytest.fixture
def first_run(shell):
    """One that was open and loaded a model; it has ended. Returns its snapshot."""
    code, output = shell.run("torchserve", "--start", "--model-store", str(shell.store),
                             "--models", "mine=echo.mar", "--disable-token-auth",
                             "--enable-model-api", environment={"SCONCE_MAX_HEADERS": "99",
                                                                "LOG_LOCATION": "logs"})
    assert code == 0, output
    eventually(lambda: snapshot(shell))
    assert models(shell) == ["mine"]
    assert shell.run("torchserve", "--stop")[0] == 0
    return snapshot(shell)


def restart(shell, *flags):
    code, output = shell.run("torchserve", "--start", *flags, environment={"LOG_LOCATION": "logs"})
    assert code == 0, output
    return output


def test_a_snapshot_restores_models_and_what_nobody_gives_now(shell, first_run):
    output = restart(shell, "--dt")
    eventually(lambda: models(shell) == ["mine"])
    assert (f"Settings from {first_run}: model_store={shell.store}, load_models=mine=echo.mar, "
            "max_headers=99\n") in start_log(shell)
    assert "Settings from the command line: disable_token_authorization=true\n" in start_log(shell)
    assert f"Started restoring models from snapshot {first_run}\n" in start_log(shell)
    # What was given again is no news.
    assert "disable_token_authorization=true is not restored" not in output
    assert re.search(rf"warning: {first_run}:\d+: enable_model_api=true is not restored from a "
                     r"snapshot; if it is still meant, give it again \(a flag, config.properties, "
                     r"SCONCE_...\)\n", output)
    shell.run("torchserve", "--stop")


def test_an_open_run_does_not_open_the_next(shell, first_run):
    output = restart(shell)
    assert re.search(rf"warning: {first_run}:\d+: disable_token_authorization=true is not restored",
                     output)
    response = requests.get(f"http://127.0.0.1:{shell.management}/models", timeout=10)
    assert (response.status_code, response.json()["type"]) == (400, "InvalidKeyException")
    shell.run("torchserve", "--stop")


def test_config_properties_is_never_overridden_by_a_snapshot(shell, first_run):
    shell.configure("job_queue_size=77", "max_headers=66")
    restart(shell, "--dt")
    eventually(lambda: models(shell) == ["mine"])
    found = requests.get(f"http://127.0.0.1:{shell.management}/models/mine", timeout=10).json()
    assert found[0]["jobQueueStatus"]["remainingCapacity"] == 77
    line, = [line for line in start_log(shell).splitlines()
             if "Settings from config.properties: " in line]
    assert "job_queue_size=77" in line and "max_headers=66" in line
    shell.run("torchserve", "--stop")
    shell.configure("job_queue_size=many")
    code, output = shell.run("torchserve", "--start", environment={"LOG_LOCATION": "logs"})
    assert code == 1
    assert "Invalid configuration: config.properties:6: job_queue_size: 'many' " in output


def test_config_properties_says_where_snapshots_are_and_whether(shell, first_run):
    (shell.root / "logs").rename(shell.root / "moved")
    shell.configure("log_location=moved")
    assert f"(moved/config/{first_run.rpartition('/')[2]}:" in effective(shell, LOG_LOCATION=None)
    shell.configure("log_location=moved", "no_config_snapshots=true")
    assert "moved/config" not in effective(shell, LOG_LOCATION=None)


def test_a_file_that_is_named_leaves_the_snapshot_alone(shell, first_run):
    output = restart(shell, "--ts-config", "config.properties", "--model-store", str(shell.store),
                     "--dt")
    assert models(shell) == []
    assert f"The snapshot {first_run} is not used: a configuration file was named\n" in \
        start_log(shell)
    assert "not restored" not in output
    shell.run("torchserve", "--stop")


# ---- sconce settings --effective ----

def effective(shell, *flags, **environment):
    code, output = shell.run("sconce", "settings", "--effective", *flags,
                             environment={"LOG_LOCATION": "logs", **environment})
    assert code == 0, output
    return output


def row(output, key):
    line, = [line for line in output.splitlines() if line.startswith(key + " ")]
    return line[len(key):].strip()


def test_effective_settings(shell, first_run):
    shell.configure("job_queue_size=77")
    output = effective(shell, "--retry", "false", "--dt", SCONCE_BATCH_MODE="fixed")
    assert row(output, "job_queue_size") == "77  (config.properties:6)"
    assert re.fullmatch(rf"99  \({first_run}:\d+\)", row(output, "max_headers"))
    assert row(output, "retry") == "false  (--retry)"
    assert row(output, "disable_token_authorization") == "true  (--dt)"
    assert row(output, "enable_model_api") == "false  (default)"
    assert row(output, "batch_mode") == "fixed  (SCONCE_BATCH_MODE)"
    assert row(output, "max_pipelined") == "16  (default)"
    assert row(output, "memory_budget").endswith("  (derived)")
    assert row(output, "cors_allowed_origin") == "-  (default)"


def test_effective_settings_that_are_wrong(shell):
    code, output = shell.run("sconce", "settings", "--effective", "--retry", "perhaps")
    assert code == 2
    assert output == ("Invalid configuration: --retry: 'perhaps' is not a truth value; allowed: "
                      "true|false\n")
