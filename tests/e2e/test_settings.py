# SPDX-License-Identifier: Apache-2.0
"""Where settings come from, by what the commands and the start say."""

import pytest

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
