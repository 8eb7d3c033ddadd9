# SPDX-License-Identifier: Apache-2.0
"""All cases, configuration by configuration."""

from compat import cases_decoding, cases_failures, cases_replies

MODULES = (cases_decoding, cases_replies, cases_failures)
ALL = sorted((case for module in MODULES for case in module.CASES), key=lambda case: case.config)
