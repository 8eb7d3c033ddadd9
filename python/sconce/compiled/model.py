# SPDX-License-Identifier: Apache-2.0
"""A compiled model with the manners of a torch module."""

import logging
import threading

import torch

from sconce.compiled import tree

# What a module has and a compiled one cannot have, and what that would mean.
_WEIGHTS = ("parameters", "named_parameters", "state_dict", "load_state_dict", "buffers",
            "named_buffers", "apply", "register_parameter", "zero_grad")
_TYPES = ("half", "bfloat16", "double")

logger = logging.getLogger(__name__)


def _told(skeleton):
    args, kwargs = skeleton["list"]
    return "the inputs " + (", ".join(tree.paths(args) + tree.paths(kwargs)) or "none")


class CompiledModel:
    """Called as the module was that it was made from.

    `load(threads)` makes a runner (sconce.compiled.runtimes). `call` is what is known of calls, as
    optimized.json has it: {"inputs": …, "outputs": …} the skeletons (sconce.compiled.tree) of
    [arguments, keyword arguments] and of what is returned, {"specs": …} dtype and shape of each
    tensor, with None for any size; without it only the runner's own order and names are known.

    `original()` loads the module that it was made from. That one takes gradients, and answers calls
    that the artefact was not made for.
    """

    training = False

    def __init__(self, name, load, threads, device, call=None, original=None):
        self._name, self._load, self._device = name, load, device
        self._call = call
        self._make_original, self._original = original, None
        self._threads, self._lock = threads, threading.Lock()
        self._seen = threading.local()      # by each thread, last
        self._told = False
        self._runner = load(threads)

    # ---- running ----

    def __call__(self, *args, **kwargs):
        try:
            tensors, skeleton = tree.flatten([args, kwargs])
        except TypeError as e:
            return self._as_original("with what it cannot be: %s" % e, args, kwargs)
        if self._make_original and torch.is_grad_enabled() and any(
                t.requires_grad for t in tensors):
            return self.original()(*args, **kwargs)
        if self._call is None:
            answers = self._current()(self._ordered(args, kwargs))
            return answers[0] if len(answers) == 1 else tuple(answers)
        why = self._misfit(skeleton, tensors)
        if why:
            return self._as_original(why, args, kwargs)
        return tree.build(self._call["outputs"], self._current()(tensors))

    forward = __call__

    def _ordered(self, args, kwargs):
        """Arguments by place and by name, in the order of the model's inputs."""
        names = getattr(self._runner, "inputs", None)
        if not kwargs:
            return list(args)
        if names is None:
            raise TypeError("the compiled model takes its inputs by place, not by name")
        left = names[len(args):]
        unknown = [k for k in kwargs if k not in left]
        if unknown:
            raise TypeError("the compiled model has no input %r; it has %s"
                            % (unknown[0], ", ".join(names)))
        return list(args) + [kwargs[name] for name in left if name in kwargs]

    def _misfit(self, skeleton, tensors):
        """Why the artefact was not made for this call, or None."""
        wanted = self._call["inputs"]
        if skeleton != wanted:
            return "with %s, not %s" % (_told(skeleton), _told(wanted))
        most = self._call.get("rows_max")
        for spec, tensor in zip(self._call["specs"], tensors):
            shape = tuple(tensor.shape)
            if most and shape and shape[0] > most:
                return "with %s of %d rows, more than %d" % (spec["name"], shape[0], most)
            if len(shape) != len(spec["shape"]) or any(
                    w is not None and w != s for s, w in zip(shape, spec["shape"])):
                return "with %s of shape %s, not %s" % (
                    spec["name"], list(shape), [w or "any" for w in spec["shape"]])
            if any(w is None and not s for s, w in zip(shape, spec["shape"])):
                return "with %s, which is empty" % spec["name"]     # compiled code may crash
            if str(tensor.dtype) != "torch." + spec["dtype"]:
                return "with %s of %s, not %s" % (spec["name"], tensor.dtype, spec["dtype"])
        return None

    def _as_original(self, why, args, kwargs):
        """Calls that the samples did not have are right, too, only slower."""
        if self._make_original is None:
            raise TypeError("the compiled model is called %s" % why)
        if not self._told:
            self._told = True
            logger.warning("The original model answers calls that the optimized one was not made "
                           "for: it is called %s. Optimize it again with such samples.", why)
        return self.original()(*args, **kwargs)

    def _current(self):
        """The runner, made anew where the server has changed this worker's share of the
        processors. A thread that was there before does not hear of that from torch: what counts
        is what is new to the one that asks, or two would make it anew by turns."""
        threads = torch.get_num_threads()
        if threads == getattr(self._seen, "threads", None):
            return self._runner
        self._seen.threads = threads
        with self._lock:
            if threads != self._threads:
                self._runner, self._threads = self._load(threads), threads
        return self._runner

    def original(self):
        """The module that this was made from, loaded now and kept."""
        if self._make_original is None:
            raise AttributeError("there is no module that %s was made from" % self._name)
        with self._lock:
            if self._original is None:
                self._original = self._make_original()
        return self._original

    # ---- manners ----

    @property
    def device(self):
        return self._device

    def eval(self):
        return self

    def train(self, mode=True):
        if mode:
            raise RuntimeError("a compiled model cannot be trained; original() can")
        return self

    def requires_grad_(self, requires_grad=True):
        return self

    def share_memory(self):
        return self

    def float(self):
        return self

    def cpu(self):
        return self.to("cpu")

    def cuda(self, device=None):
        return self.to(torch.device("cuda", device or 0))

    def to(self, *args, **kwargs):
        device, dtype, _, _ = torch._C._nn._parse_to(*args, **kwargs)
        if dtype not in (None, torch.float32):
            raise RuntimeError(self._typed(dtype))
        if device is not None and device.type != self._device.type:
            raise RuntimeError("the compiled model is for %s and cannot be moved to %s: "
                               "optimize it there" % (self._device, device))
        return self

    def _typed(self, dtype):
        return ("the precision of a compiled model was decided when it was made, so it cannot "
                "become %s: `sconce optimize --allow` makes others" % dtype)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        runner = self.__dict__.get("_runner")
        own = getattr(runner, "session", None)      # as TorchServe's handlers of ONNX models use
        if own is not None and hasattr(own, name):
            return getattr(own, name)
        if name in _TYPES:
            raise AttributeError(self._typed(name))
        what = "has no weights of its own, so no" if name in _WEIGHTS else "has no attribute"
        raise AttributeError(
            "the compiled model (%s) %s %r: original() loads the module that it was made from, and "
            "`optimized: false` in model-config.yaml uses that one for everything"
            % (self._name, what, name))

    def __repr__(self):
        return "<compiled model: %s on %s>" % (self._name, self._device)
