#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: deploy/image/build.sh [core|python|onnx|torch]     (`make image VARIANT=...`)
#
# Builds the image sconce:VARIANT without a registry: Debian packages, and sconce from the build
# folder BUILD. ARCH (this machine's) may be arm64 on amd64: then sconce is compiled for it, or
# BUILD was. The same packages and sources give the same layers; SOURCE_DATE_EPOCH is the time of
# every file (default: of the last commit). WORK (.cache/image) keeps what was downloaded.
# PACKAGES are others than onnxruntime, or torch and torchvision, as pip names them.

set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
	echo "image: $*" >&2
	exit 1
}

variant=${1:-core}
machine=$(dpkg --print-architecture)
arch=${ARCH:-$machine}
work=$(realpath -m "${WORK:-.cache/image}")
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SCONCE_IMAGE_CACHE=$work/debs SOURCE_DATE_EPOCH=$epoch

case $variant in
core | python) base=$variant packages= ;;
onnx) base=python packages=${PACKAGES:-onnxruntime} ;;
torch) base=torch packages=${PACKAGES:-torch torchvision} ;;
*) fail "there is no variant '$variant'; there are: core, python, onnx, torch" ;;
esac
case $arch in
amd64 | arm64) ;;
*) fail "there are images for amd64 and arm64, not for '$arch'" ;;
esac
[ -z "$packages" ] || [ "$arch" = "$machine" ] ||
	fail "pip is run for $variant, so it is made on a machine of $arch"
[ "$(id -u)" = 0 ] || fail "root is needed, at least one's own: buildah unshare make image"
for tool in mmdebstrap buildah; do
	command -v "$tool" >/dev/null || fail "$tool is missing: tools/setup.sh image"
done

# The processor that a program is for, as Debian calls it.
arch_of() {
	case $(od -An -tx1 -j18 -N1 "$1" | tr -d ' ') in
	3e) echo amd64 ;;
	b7) echo arm64 ;;
	*) echo "another processor" ;;
	esac
}

# A build folder for another processor, with Debian's libraries for it.
cross_build() {
	local folder=build-$arch
	[ "$machine/$arch" = amd64/arm64 ] ||
		fail "$machine cannot compile sconce for $arch; BUILD=FOLDER names a build for it"
	tools/setup.sh image-arm64
	if [ ! -f "$folder/build.ninja" ]; then
		sed "s|@ROOT@|$PWD/.cache/arm64/root|" tools/arm64.ini >"$work/$arch.ini"
		meson setup "$folder" --cross-file "$work/$arch.ini" -Dtests=disabled >/dev/null ||
			fail "$folder cannot be set up: see $folder/meson-logs"
	fi
	build=$folder
}

megabytes() { du -s --block-size=1000000 --apparent-size "$1" | cut -f1; }

# The image's name, then what buildah needs to know of its files.
make_image() {
	local name=$1
	shift
	buildah bud --quiet --format docker --timestamp "$epoch" --arch "$arch" -t "$name" "$@" \
		>"$stages/log" || { cat "$stages/log" >&2; fail "buildah could not make $name"; }
	echo "image: $name for $arch, $(buildah images --format '{{.Size}}' "$name")"
}

# What pip will install. The machine's own fetches it, which knows the way: index, proxy and
# certificates; its Python is that of the image, Debian's.
fetch_wheels() {
	# shellcheck disable=SC2086 # a list of words
	/usr/bin/python3 -m pip download --quiet --only-binary :all: --cache-dir "$work/pip" \
		--dest "$stages/wheels" $packages || fail "pip could not fetch $packages"
}

# Folders of this run: another variant may be made beside it.
mkdir -p "$work"
stages=$(mktemp -d "$work/$variant.XXXXXX")
trap 'rm -rf "$stages"' EXIT
mkdir "$stages/context"

build=${BUILD:-build}
[ -n "${BUILD:-}" ] || [ "$arch" = "$machine" ] || cross_build
[ -d "$build" ] || fail "there is no build folder $build: make build makes one"
deploy/image/install.sh "$stages/install" "$build"
found=$(arch_of "$stages/install/usr/local/bin/sconce")
[ "$found" = "$arch" ] || fail "$build was made for $found, not for $arch; BUILD=FOLDER is another"
deploy/image/rootfs.sh "$base" "$arch" "$stages/rootfs"
echo "image: $(megabytes "$stages/rootfs") MB of Debian packages," \
	"$(megabytes "$stages/install") MB of sconce"
name=$base
[ "$base" != torch ] || name=torch-base
make_image "sconce:$name" --build-context "rootfs=$stages" --build-context "install=$stages" \
	-f deploy/image/Dockerfile "$stages/context"
if [ -n "$packages" ]; then
	fetch_wheels
	make_image "sconce:$variant" --volume "$stages/wheels:/wheels:ro" \
		--build-arg BASE="localhost/sconce:$name" --build-arg PACKAGES="$packages" \
		--build-arg PIP_OPTIONS="--no-index --find-links /wheels" \
		-f deploy/image/Dockerfile.pip "$stages/context"
fi
