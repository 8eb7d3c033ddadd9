#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: tools/debian_root.sh FOLDER [option of mmdebstrap ...]
#
# Makes FOLDER from Debian packages of this machine's release. They come from where its apt takes
# them, and the way it gets there; where apt has not been told yet, from Debian itself.

set -euo pipefail
[ $# -ge 1 ] || { echo "usage: ${0##*/} FOLDER [option of mmdebstrap ...]" >&2; exit 2; }
folder=$1
shift

# What apt has of this release, as lines of a sources.list. Others than Debian have no part in it.
sources() {
	apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' | sort -u |
		awk -v suite="$1" '$1 == "Debian" && ($2 == suite || index($2, suite "-") == 1) {
			print "deb", $3, $4, $5 }'
}

proxies() { apt-config dump | sed -n 's/^\(Acquire::https\?::Proxy\b.*\)/--aptopt=\1/p'; }

suite=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME") || {
	echo "${0##*/}: this is not Debian, whose packages it takes" >&2
	exit 1
}
list=$(sources "$suite")
mapfile -t proxy < <(proxies)
options=(--quiet --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"'
	"${proxy[@]}" "$@")
[ -n "$list" ] || exec mmdebstrap "${options[@]}" "$suite" "$folder"
exec mmdebstrap "${options[@]}" "$suite" "$folder" - <<<"$list"
