#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes a Debian package of what is built:
#   tools/deb.sh [FOLDER [BUILD]]   (dist/ and build/ unless named)
#
# The same commit makes the same file. Debian's own tools do the work (deploy/debian/rules).

set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-dist}
SCONCE_BUILD=$(realpath "${2:-build}")
export SCONCE_BUILD
[ -f "$SCONCE_BUILD/build.ninja" ] || {
	echo "deb: $SCONCE_BUILD is no build folder: make build" >&2
	exit 2
}
SCONCE_PREFIX=$(tools/build_option.py "$SCONCE_BUILD" prefix)
export SCONCE_PREFIX
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
version=$("$SCONCE_BUILD/bin/sconce" version | cut -d' ' -f2)
mkdir "$made/tree"
cp -r deploy/debian "$made/tree/debian"
cp -r deploy/systemd "$made/tree/systemd"
cat >"$made/tree/debian/changelog" <<END
sconce ($version) unstable; urgency=medium

  * See CHANGELOG.md.

 -- The sconce authors <sconce@localhost>  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
END
(cd "$made/tree" && dpkg-buildpackage -b -us -uc >"$made/log" 2>&1) || {
	cat "$made/log" >&2
	exit 1
}
mkdir -p "$folder"
for package in "$made"/sconce_*.deb; do
	mv "$package" "$folder/"
	echo "deb: $folder/$(basename "$package")"
done
