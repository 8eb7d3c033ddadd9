# SPDX-License-Identifier: Apache-2.0
"""What is compared of a metrics text, whatever was found in it before."""

from compat.looks import families


def test_families_have_no_values():
    text = 'ts_queue{name="a b",} 7.0\nts_queue{name="c",} 12.<management port>\n'
    assert families(text) == "ts_queue{name=,}"
