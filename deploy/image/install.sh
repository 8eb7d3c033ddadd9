#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: deploy/image/install.sh FOLDER [BUILD]
#
# Puts what the image has of sconce into FOLDER, as it will lie below /, from a build folder that is
# there (or is made: build). Stripped; without what only people at a terminal or compilers need.

set -euo pipefail
[ $# -ge 1 ] || { echo "usage: ${0##*/} FOLDER [BUILD]" >&2; exit 2; }
folder=$(realpath -m "$1")
build=${2:-build}
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
umask 022

say() { echo "image: $*"; }

fail() {
	echo "image: $*" >&2
	exit 1
}

[ -f "$build/build.ninja" ] || meson setup "$build" >/dev/null || fail "$build cannot be set up"
ninja -C "$build" >/dev/null || fail "sconce cannot be built: ninja -C $build"
prefix=$(tools/build_option.py "$build" prefix)
[ "$(tools/build_option.py "$build" b_sanitize)" = none ] ||
	fail "$build is made for a sanitizer: give another folder"

rm -rf "$folder"
mkdir -p "$folder/usr"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
DESTDIR=$scratch meson install -C "$build" --no-rebuild --strip --quiet >/dev/null ||
	fail "$build cannot be installed: meson install -C $build"
mv "$scratch$prefix" "$folder/usr/local"
rm -rf "$folder"/usr/local/{include,lib*/pkgconfig,lib*/*/pkgconfig} \
	"$folder"/usr/local/share/{bash-completion,zsh}
find "$folder" -name __pycache__ -prune -exec rm -r {} +
find "$folder" -type d -empty -delete

install -m 755 deploy/image/entrypoint.sh "$folder/usr/local/bin/dockerd-entrypoint.sh"

# Whoever the container runs as may write there.
home=$folder/home/model-server
mkdir -p "$home"/{model-store,wf-store,tmp,logs}
chmod 1777 "$home" "$home"/*
install -m 644 deploy/image/config.properties "$home/config.properties"
