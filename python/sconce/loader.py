# SPDX-License-Identifier: Apache-2.0
"""Finding a model's entry point by TorchServe's rules.

`handler` is a file, `file.py:function`, a module, or the name of a default handler. A
module-level function (`handle`, or the one named) wins; otherwise the one class defined in the
module that has `handle`, whose initialize() is called.
"""

import importlib
import os
import sys


class LoadError(ValueError):
    """The model cannot be loaded; the message says why."""


class NoHandler(LoadError, ModuleNotFoundError):
    """There is no file of the handler's name."""


def _split(handler):
    name, _, function = handler.partition(":")
    if name.endswith(".py"):
        name = name[:-3]
    return name.rsplit("/", 1)[-1], function or "handle", name


def _import(name, whole, folder):
    try:
        return importlib.import_module(name)
    except ImportError as first:
        try:
            return importlib.import_module("ts.torch_handler." + whole.replace("/", "."))
        except ModuleNotFoundError as second:
            # The handler itself may exist and lack something it imports: that is the real cause.
            if not second.name or not (second.name + ".").startswith("ts.torch_handler."):
                raise
        if getattr(first, "name", None) == name:
            raise NoHandler(_no_handler(name, folder)) from None
        raise


def _handlers(folder):
    """Names of files that may be handlers."""
    try:
        return [f[:-3] for f in os.listdir(folder) if f.endswith(".py") and f[0] != "_"]
    except OSError:
        return []


def _no_handler(name, folder):
    import difflib
    import ts.torch_handler

    names = _handlers(folder) + _handlers(os.path.dirname(ts.torch_handler.__file__))
    alike = difflib.get_close_matches(name, sorted(set(names)), 1, 0.75)
    return ("No module named '%s' is in the archive, and it is no default handler%s"
            % (name, "; did you mean '%s'?" % alike[0] if alike else ""))


def _classes(module):
    return [c for c in vars(module).values()
            if isinstance(c, type) and c.__module__ == module.__name__]


def _handler_class(module, function):
    classes = _classes(module)
    able = [c for c in classes if callable(getattr(c, "handle", None))]
    # Bases that live in the same file do not count when a class derived from them is there.
    able = [c for c in able if not any(o is not c and issubclass(o, c) for o in able)]
    if len(able) == 1:
        return able[0]
    if len(classes) == 1:
        raise LoadError("Expect handle method in class %s" % classes[0])
    raise LoadError("Expected only one class in custom service code or a function entry point %s: "
                    "%s has neither a function %s(data, context) nor one class with a method "
                    "handle(self, data, context)"
                    % ([c.__name__ for c in classes], module.__name__, function))


def _envelope(name):
    """The class of an envelope."""
    package = "ts.torch_handler.request_envelope."
    try:
        return _classes(importlib.import_module(package + name))[0]
    except ModuleNotFoundError as e:
        if e.name and (e.name + ".").startswith(package):
            raise LoadError("there is no envelope %s: service_envelope (or the manifest's "
                            "envelope) is body, json, kserve or kservev2" % name) from None
        raise


def is_coroutine(entry):
    code = getattr(getattr(entry, "__func__", entry), "__code__", None)
    return bool(code and code.co_flags & 0x80)   # inspect.CO_COROUTINE


def _first_call(entry, context):
    """TorchServe's convention: this is when a function loads its model."""
    call = entry(None, context)
    if is_coroutine(entry) or hasattr(call, "__await__"):
        from sconce import aserving

        aserving.event_loop().run_until_complete(call)


def _entry_of(module, function, context):
    entry = getattr(module, function, None)
    if callable(entry) and not isinstance(entry, type):
        _first_call(entry, context)
        return entry
    service = _handler_class(module, function)()
    if callable(getattr(service, "initialize", None)):
        service.initialize(context)
    return service.handle


def load(handler, model_dir, context, envelope=""):
    """Returns the entry point: a callable (data, context) -> list, possibly a coroutine
    function."""
    if not handler:
        raise LoadError("the archive names no handler")
    name, function, whole = _split(handler)
    folder = os.path.dirname(os.path.join(model_dir, whole))
    # Behind our own packages (the first entry), before everything else.
    for path in (folder, model_dir):
        if path in sys.path:
            sys.path.remove(path)
        sys.path.insert(1, path)
    wrapper = _envelope(envelope) if envelope else None
    module = _import(name, whole, folder)
    entry = _entry_of(module, function, context)
    if wrapper is None:
        return entry
    if is_coroutine(entry):
        raise LoadError("%s is a coroutine function, around which no envelope goes" % handler)
    return wrapper(entry).handle
