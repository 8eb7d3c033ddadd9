# SPDX-License-Identifier: Apache-2.0
"""All cases, configuration by configuration."""

from compat import (
    cases_combined,
    cases_commands,
    cases_decoding,
    cases_envelopes,
    cases_failures,
    cases_guarded,
    cases_http,
    cases_logs,
    cases_manage,
    cases_metrics,
    cases_queues,
    cases_replies,
    cases_restored,
)

MODULES = (cases_decoding, cases_replies, cases_failures, cases_http, cases_metrics, cases_manage,
           cases_envelopes, cases_queues, cases_restored, cases_commands, cases_logs,
           cases_guarded, cases_combined)
ALL = sorted((case for module in MODULES for case in module.CASES), key=lambda case: case.config)
