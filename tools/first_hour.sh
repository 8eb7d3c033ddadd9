#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a newcomer does, timed: clones this repository, then follows docs/first-handler.md.
# The ports 8080 to 8082 have to be free.

set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

began=$SECONDS
git clone -q "$source" "$folder/sconce"
cd "$folder/sconce"
echo "$((SECONDS - began)) s to clone; now docs/first-handler.md, whose first step builds"
SCONCE_PAGE_PATIENCE=1800 python3 tests/docs/page.py --here --times docs/first-handler.md
