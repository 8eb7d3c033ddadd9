# SPDX-License-Identifier: Apache-2.0
"""Cases whose differences are known and neither mended nor declared yet: {name: what}."""

PENDING = {}
