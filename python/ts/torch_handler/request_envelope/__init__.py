# SPDX-License-Identifier: Apache-2.0
"""Envelopes: between the documents of an orchestrator and the rows of a handler.

The setting service_envelope, or `envelope` of a manifest, names one of these modules.
"""
