# SPDX-License-Identifier: Apache-2.0
"""What `pip install .` gives, in a fresh environment, away from the source tree."""
