# SPDX-License-Identifier: Apache-2.0
"""Models in DeepSpeed's engine, as `deepspeed` of a model's YAML file says."""

import json
import os
from pathlib import Path

from ts.utils.packages import require


def create_checkpoints_json(model_path, checkpoints_json):
    """Writes the file that names all .bin and .pt files under `model_path` for DeepSpeed."""
    files = [str(path) for path in Path(model_path).rglob("*")
             if path.suffix in (".bin", ".pt") and path.is_file()]
    with open(checkpoints_json, "w", encoding="utf-8") as f:
        json.dump({"type": "ds_model", "checkpoints": files, "version": 1.0}, f)


def get_ds_engine(model, ctx):
    """`model` in an engine: `config` names DeepSpeed's JSON file in the archive, `checkpoint` the
    file to write the list of checkpoints to."""
    model_dir = ctx.system_properties.get("model_dir")
    model_path = ctx.model_yaml_config["handler"]["model_path"]
    settings = ctx.model_yaml_config.get("deepspeed")
    if settings is None:
        raise ValueError("model %s: its YAML file has no section deepspeed" % ctx.model_name)
    config = checkpoint = None
    if "config" in settings:
        config = os.path.join(model_dir, settings["config"])
        if not os.path.exists(config):
            raise ValueError("model %s: the archive lacks %s, the settings for DeepSpeed"
                             % (ctx.model_name, settings["config"]))
    if "checkpoint" in settings:
        checkpoint = os.path.join(model_dir, settings["checkpoint"])
        create_checkpoints_json(model_path, checkpoint)
    deepspeed = require("deepspeed", "model %s" % ctx.model_name)
    return deepspeed.init_inference(model, config=config, base_dir=model_path,
                                    checkpoint=checkpoint)
