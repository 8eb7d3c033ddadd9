# SPDX-License-Identifier: Apache-2.0
"""Compiled models under Python handlers.

A handler that calls `self.model(...)` does not see what runs the model. `model.CompiledModel` has
the manners of a torch module and runs an artefact of an engine in the handler's own process;
`artifact` finds out whether an archive brings one that this machine can run.
"""
