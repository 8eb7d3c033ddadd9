# SPDX-License-Identifier: Apache-2.0
"""What MANIFEST.json says."""
