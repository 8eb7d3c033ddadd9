#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: deploy/image/rootfs.sh VARIANT ARCH FOLDER
#
# Makes the image's files, but for sconce's own, from Debian packages alone. Nothing of them is run
# here: any ARCH will do.

set -euo pipefail
[ $# = 3 ] || { echo "usage: ${0##*/} core|python|torch amd64|arm64 FOLDER" >&2; exit 2; }
variant=$1 arch=$2 folder=$(realpath -m "$3")
here=$(cd "$(dirname "$0")" && pwd)

fail() {
	echo "image: $*" >&2
	exit 1
}

# Packages of a variant: its own and those of the variants above it.
packages() {
	awk -v wanted="$1" '
		/^#/ || NF == 0 { next }
		$1 != last && found { exit }
		{ last = $1; found = found || $1 == wanted ":" }
		{ for (i = 2; i <= NF; i++) print $i }
		END { exit !found }' "$here/packages" | paste -sd,
}

(. /etc/os-release && [ "$ID" = debian ]) ||
	fail "images are made on Debian, whose libraries sconce was built with; see the Dockerfile"
include=$(packages "$variant") ||
	fail "there is no variant '$variant'; there are: core, python, torch"

# Packages that were downloaded before are taken from there, and kept for the next time.
cache=${SCONCE_IMAGE_CACHE:-$(dirname "$folder")/debs}/$arch
mkdir -p "$cache"

rm -rf "$folder"
"$here/../../tools/debian_root.sh" "$folder" --mode=root --format=directory --variant=extract \
	--architectures="$arch" --include="$include" \
	--setup-hook="'$here/hooks.sh' start '$cache' \"\$1\"" \
	--extract-hook="'$here/hooks.sh' packages '$cache' \"\$1\"" ||
	fail "mmdebstrap could not make the root file system"
"$here/hooks.sh" finish "$variant" "$folder"
