#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What rootfs.sh does before packages are unpacked, while they are, and at the end. The root is the
# last argument. Nothing in there is run: it may be for another processor.

set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)

# One tree for programs and libraries, as in every Debian since 12; packages are unpacked into it.
start() {
	local cache=$1 root=$2
	for name in bin sbin lib lib64; do
		mkdir -p "$root/usr/$name"
		ln -s "usr/$name" "$root/$name"
	done
	mkdir -p "$root/var/cache/apt/archives"
	find "$cache" -name '*.deb' -exec cp -p -t "$root/var/cache/apt/archives" {} +
}

# Name and version of each package that is being unpacked: not all that were downloaded once.
chosen() {
	# shellcheck disable=SC2086 # a list of words
	APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --simulate install ${MMDEBSTRAP_INCLUDE//,/ } |
		sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1 \2/p'
}

# Who looks for known weaknesses reads in status.d which packages an image has.
packages() {
	local cache=$1 root=$2 name version file
	mkdir -p "$root/var/lib/dpkg/status.d"
	while read -r name version; do
		for file in "$root/var/cache/apt/archives/${name}_${version//:/%3a}"_*.deb; do
			cp -pu "$file" "$cache/"
			dpkg-deb -f "$file" >"$root/var/lib/dpkg/status.d/$name"
		done
	done < <(chosen)
}

users() {
	local root=$1
	cat >"$root/etc/passwd" <<-'EOF'
		root:x:0:0:root:/root:/bin/bash
		nobody:x:65534:65534:nobody:/nonexistent:/bin/false
		model-server:x:1000:0:sconce:/home/model-server:/bin/bash
	EOF
	cat >"$root/etc/group" <<-'EOF'
		root:x:0:
		nogroup:x:65534:
		model-server:x:1000:
	EOF
	mkdir -p "$root/tmp" "$root/home/model-server"
	chmod 1777 "$root/tmp"
}

# What the scripts of ca-certificates and openssl would do.
certificates() {
	local root=$1
	mkdir -p "$root/etc/ssl/certs" "$root/usr/lib/ssl"
	cat "$root"/usr/share/ca-certificates/mozilla/*.crt \
		>"$root/etc/ssl/certs/ca-certificates.crt"
	ln -sf /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"
}

# TorchServe's image has its Python there: what pip installs goes into it, and Debian's is seen.
environment() {
	local venv=$1/home/venv version
	version=$(basename "$1"/usr/lib/python3.[0-9]*)
	mkdir -p "$venv/bin" "$venv/lib/$version/site-packages"
	printf '%s\n' 'home = /usr/bin' 'include-system-site-packages = true' \
		"version = ${version#python}" >"$venv/pyvenv.cfg"
	ln -s /usr/bin/python3 "$venv/bin/python3"
	ln -s python3 "$venv/bin/python"
	cat >"$venv/bin/pip" <<-'EOF'
		#!/home/venv/bin/python3
		import sys
		from pip._internal.cli.main import main
		sys.exit(main())
	EOF
	chmod 755 "$venv/bin/pip"
	ln -s pip "$venv/bin/pip3"
	chmod -R g+w "$venv"
}

# What the scripts of Python's packages would do: choose a BLAS, compile what is imported often.
# Python compiles to the same for every processor.
python() {
	local root=$1 library version
	for library in "$root"/usr/lib/*/{blas,lapack}/*.so.3; do
		ln -s "$(basename "${library%/*}")/${library##*/}" "${library%/*/*}/${library##*/}"
	done
	version=$(basename "$root"/usr/lib/python3.[0-9]*)
	command -v "/usr/bin/$version" >/dev/null || return 0
	"/usr/bin/$version" -m compileall -q -j 2 --invalidation-mode unchecked-hash \
		-s "$root" -p / -x '/(distutils|lib2to3|pip|pkg_resources|setuptools|wheel)/' \
		"$root/usr/lib/$version" "$root/usr/lib/python3/dist-packages" >/dev/null || true
}

# Here, not while unpacking: the filter of mmdebstrap doubles the time that takes.
leave_out() {
	local root=$1 pattern
	while read -r pattern; do
		# shellcheck disable=SC2086 # a pattern of paths
		case $pattern in '#'* | '') ;; *) (cd "${root:?}" && rm -rf -- $pattern) ;; esac
	done <"$here/excludes"
	find "$root/usr/share/doc" ! -type d ! -name copyright -delete
	find "$root/usr/share/doc" -type d -empty -delete
	grep -lrI --max-count=1 '^#! */usr/bin/perl' "$root"/usr/{bin,sbin} | xargs -r rm
	: >"$root/var/lib/dpkg/status"
}

finish() {
	local variant=$1 root=$2
	users "$root"
	certificates "$root"
	leave_out "$root"
	[ "$variant" = core ] || environment "$root"
	[ "$variant" = core ] || python "$root"
}

"$@"
