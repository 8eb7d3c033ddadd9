# SPDX-License-Identifier: Apache-2.0
"""Images decoded and scaled by NVIDIA's DALI, as `dali` of a model's YAML file says."""

import os

from ts.utils.packages import require

_USER = "a handler with DALI"
_MEAN = [0.485, 0.456, 0.406]
_STD = [0.229, 0.224, 0.225]


def _imagenet(options):
    """The pipeline where the archive brings none: what models trained on ImageNet are given."""
    dali = require("nvidia.dali", _USER)
    types = require("nvidia.dali.types", _USER)

    @dali.pipeline_def
    def pipeline():
        encoded = dali.fn.external_source(dtype=types.UINT8, name="source")
        image = dali.fn.resize(dali.fn.decoders.image(encoded, device="mixed"), size=[256],
                               mode="not_smaller", antialias=True, subpixel_scale=False,
                               interp_type=types.DALIInterpType.INTERP_LINEAR)
        return dali.fn.crop_mirror_normalize(image, crop=(224, 224), crop_pos_x=0.5,
                                             crop_pos_y=0.5, mean=[255 * m for m in _MEAN],
                                             std=[255 * s for s in _STD])

    return pipeline(**options)


def get_dali_pipeline(ctx):
    """The pipeline of `pipeline_file`, serialized by DALI, or that of ImageNet."""
    config = ctx.model_yaml_config.get("dali")
    if config is None:
        raise ValueError("model %s: its YAML file has no section dali" % ctx.model_name)
    options = {name: config[name] for name in ("batch_size", "num_threads", "device_id", "seed")}
    options["prefetch_queue_depth"] = 1
    if "pipeline_file" not in config:
        return _imagenet(options)
    path = os.path.join(ctx.system_properties.get("model_dir"), config["pipeline_file"])
    if not os.path.exists(path):
        raise RuntimeError("the archive lacks %s, its DALI pipeline" % config["pipeline_file"])
    return require("nvidia.dali.pipeline", _USER).Pipeline.deserialize(filename=path, **options)
