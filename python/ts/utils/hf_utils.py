# SPDX-License-Identifier: Apache-2.0
"""Models from Hugging Face's hub."""

from ts.utils.packages import require

_WANTED = ["*.json", "*.pt", "*.bin", "*.txt", "*.model", "*.pth", "*.safetensors", "original/*"]


def download_model(model_id="meta-llama/Meta-Llama-3.1-8B-Instruct", revision="main",
                   model_path=".cache", use_auth_token=True):
    """Fetches weights, tokenizer and settings into `model_path`; returns their folder.

    `use_auth_token`: a token, True for the one that was stored by huggingface-cli, or False."""
    hub = require("huggingface_hub", "download_model()")
    return hub.snapshot_download(repo_id=model_id, revision=revision, allow_patterns=_WANTED,
                                 cache_dir=model_path, token=use_auth_token)
