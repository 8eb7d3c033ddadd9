# SPDX-License-Identifier: Apache-2.0
"""Models as a pipeline over several workers, by PiPPy, as `pippy` of a model's YAML file says."""

import inspect
import os

from ts.utils.packages import require


def initialize_rpc_workers(local_rank, world_size, ctx):
    """Makes this process one of torch's RPC workers; each has a GPU, in turn."""
    torch = require("torch", "PiPPy")
    rpc = require("torch.distributed.rpc", "PiPPy")
    settings = ctx.model_yaml_config["pippy"]
    options = rpc.TensorPipeRpcBackendOptions(
        num_worker_threads=settings["num_worker_threads"], rpc_timeout=settings["rpc_timeout"])
    devices = torch.cuda.device_count()
    for rank in range(world_size):
        options.set_device_map("worker%d" % rank, {local_rank % devices: rank % devices})
    rpc.init_rpc("worker%d" % local_rank, rank=local_rank, world_size=world_size,
                 rpc_backend_options=options)


def _setting(config, section, key):
    try:
        return config[section][key]
    except (KeyError, TypeError):
        raise AssertionError("the model's YAML file lacks %s: {%s: …}" % (section, key)) from None


def _index_file(config, model_path):
    name = config["handler"].get("index_filename")
    path = os.path.join(model_path, name) if name is not None else None
    if path and not os.path.exists(path):
        raise AssertionError("there is no index file %s" % path)
    return path


def _concrete_arguments(model, input_names):
    """Arguments of forward() that are not inputs, with their defaults."""
    parameters = inspect.signature(model.forward).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in input_names}


def get_pipeline_driver(model, world_size, ctx):
    """What to call for `model` cut into `world_size` stages."""
    config = ctx.model_yaml_config
    input_names = _setting(config, "pippy", "input_names")
    hugging_face = _setting(config, "pippy", "model_type") == "HF"
    index = _index_file(config, _setting(config, "handler", "model_path"))
    pippy = require("pippy", "model %s" % ctx.model_name)
    model.eval()
    arguments = _concrete_arguments(model, input_names)
    if hugging_face and "bloom" in str(type(model)):
        arguments.setdefault("deprecated_arguments", {})
    tracer = require("pippy.hf", "model_type HF").PiPPyHFTracer() if hugging_face else None
    driver, _ = pippy.all_compile(
        model, num_ranks=world_size, num_chunks=config["pippy"].get("chunks", 1),
        schedule="FillDrain", split_policy=pippy.split_into_equal_size(world_size), tracer=tracer,
        concrete_args=arguments, index_filename=index, checkpoint_prefix=None)
    if not hugging_face:
        return driver
    require("pippy.hf", "model_type HF").inject_pipeline_forward(model, driver)
    return model
