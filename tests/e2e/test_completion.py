# SPDX-License-Identifier: Apache-2.0
"""`sconce completion`: the scripts, in the shells they are made for."""

import os
import shutil
import subprocess

import pytest

from e2e.archives import make_mar
from e2e.server import BIN, free_ports

BASH = """
source <("$SCONCE" completion bash)
complete -p "${1##*/}" >/dev/null || exit 9
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_sconce
printf '%s\\n' "${COMPREPLY[@]}"
"""
# What a terminal would be asked for is printed.
ZSH = """
compdef() { [ "$1" = _sconce ] || exit 9 }
compadd() { shift; printf '%s\\n' "$@" }
_files() { printf '@files%s\\n' "$*" }
source <("$SCONCE" completion zsh)
words=("$@") CURRENT=$#
_sconce
"""
COMMANDS = ["serve", "new", "dev", "models", "call", "bench", "health", "engines", "optimize",
            "pipeline", "profile", "pull", "archive", "torchserve", "logs", "settings",
            "completion", "version", "help"]
SHELLS = {"bash": ["bash", "--norc", "-c", BASH], "zsh": ["zsh", "-f", "-c", ZSH]}


@pytest.fixture(params=SHELLS)
def complete(request, tmp_path):
    if not shutil.which(request.param):
        pytest.skip(f"there is no {request.param}")
    for name in ("weights.pt", "handler.py", "folder/file"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")

    def run(*words):
        """What is offered for the last word that begins as it does."""
        done = subprocess.run([*SHELLS[request.param], request.param, *words], cwd=tmp_path,
                              env={**os.environ, "SCONCE": str(BIN / "sconce")}, text=True,
                              capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) in ((0, ""), (1, "")), done.stderr
        start = "" if words[-1] == "=" else words[-1]
        return [w for w in done.stdout.splitlines() if w and (w[0] == "@" or w.startswith(start))]

    run.shell = request.param
    return run


def test_commands(complete):
    assert complete("sconce", "") == COMMANDS
    assert complete("/some/where/sconce", "mo") == ["models"]
    assert complete("sconce", "models", "s") == ["scale", "set-default"]
    assert complete("sconce", "completion", "") == ["bash", "zsh"]


def test_flags(complete):
    assert complete("sconce", "models", "list", "--q") == ["--quiet"]
    assert complete("sconce", "archive", "--mod") == ["--model-name", "--model-file"]
    assert complete("torch-model-archiver", "--mod") == ["--model-name", "--model-file"]
    assert complete("torchserve", "--st") == ["--start", "--stop"]
    assert complete("sconce", "torchserve", "--st") == ["--start", "--stop"]
    assert complete("sconce", "serve", "--job") == ["--job-queue-size"]
    assert complete("sconce", "serve", "--job-queue-size", "7", "--log-le") == ["--log-level"]


def test_values(complete):
    assert complete("sconce", "serve", "--log-level", "") == ["error", "warn", "info", "debug"]
    assert complete("sconce", "serve", "--enable-model-api", "t") == ["true"]
    assert complete("torch-model-archiver", "--runtime", "py") == ["python", "python3"]
    assert complete("torch-model-archiver", "--model-name", "") == []
    assert complete("sconce", "serve", "--job-queue-size", "") == []
    if complete.shell == "bash":
        # There a '=' is a word of its own.
        assert complete("torch-model-archiver", "--runtime", "=", "L") == ["LSP"]
        assert complete("torch-model-archiver", "--runtime", "=") == ["python", "python3", "LSP",
                                                                        "native"]


def test_files(complete):
    files = complete("torch-model-archiver", "--serialized-file", "w")
    folders = complete("torchserve", "--model-store", "")
    if complete.shell == "bash":
        assert (files, folders) == (["weights.pt"], ["folder"])
    else:
        assert (files, folders) == (["@files"], ["@files-/"])


def test_models_of_a_server(complete, serve):
    server = serve(load_models=None, default_workers_per_model=0)
    make_mar(server.store, "resnet", "echo.py")
    make_mar(server.store, "bert.large-1", "echo.py")
    for file in server.store.iterdir():
        assert server.register(file.name).status_code == 200
    where = ("--address", f"http://127.0.0.1:{server.management}")
    sconce = str(BIN / "sconce")
    assert complete(sconce, "models", "describe", *where, "") == ["bert.large-1", "resnet"]
    assert complete(sconce, "models", "scale", *where, "r") == ["resnet"]
    nobody = ("--address", f"http://127.0.0.1:{free_ports(1)[0]}")
    assert complete(sconce, "models", "scale", *nobody, "") == []


def test_names_that_a_shell_would_run_are_not_offered(complete, tmp_path):
    fake = tmp_path / "sconce"
    fake.write_text("#!/bin/sh\nprintf '%s\\n' good '$(touch owned)' 'a;b' '`x`' 'with blank'\n")
    fake.chmod(0o755)
    assert complete(str(fake), "models", "describe", "") == ["good"]
    assert not (tmp_path / "owned").exists()
