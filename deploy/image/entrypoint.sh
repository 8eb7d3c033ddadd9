#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Starts what the container was asked for, as the entry point of TorchServe's image does:
#   serve [option ...]         the server, with the config.properties of its home, without keys
#   torchserve [option ...]    the server, with these options
#   any other command          that command
# It becomes that command, so the server is process 1: it gets the signals that end the container.

set -eu

CONFIG=/home/model-server/config.properties

# In the background it would end the container. A function, so that commands of a shell find it.
torchserve() { exec /usr/local/bin/torchserve --foreground "$@"; }

[ $# -gt 0 ] || set -- serve
case $1 in
serve)
	shift
	torchserve --start --ts-config "$CONFIG" --disable-token-auth "$@"
	;;
torchserve)
	shift
	torchserve "$@"
	;;
-*) torchserve "$@" ;;
esac

# TorchServe's gives its arguments to a shell once more, so one of them may be a whole command.
if [ $# = 1 ] && ! command -v "$1" >/dev/null; then
	eval "$1"
	exit
fi
exec "$@"
