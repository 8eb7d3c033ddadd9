# SPDX-License-Identifier: Apache-2.0
"""The options of `torchserve` as argparse has them, for scripts that build on them. The command has
its own table (`torchserve --help`)."""

import argparse

_FLAGS = (
    (("--foreground",), "foreground", "stay in the foreground"),
    (("--no-config-snapshots", "--ncs"), "no_config_snapshots", "neither read nor write snapshots"),
    (("--disable-token-auth", "--dt"), "token_auth", "calls need no token"),
    (("--enable-model-api",), "model_mode", "models may be registered and unregistered by calls"),
)
_VALUES = (
    (("--ts-config",), "ts_config", "file with the configuration"),
    (("--model-store",), "model_store", "folder of archives"),
    (("--workflow-store",), "workflow_store", "folder of workflows"),
    (("--log-config",), "log_config", "configuration of log4j"),
    (("--cpp-log-config",), "cpp_log_config", "configuration of the C++ backend's log"),
    (("--plugins-path", "--ppath"), "plugins_path", "folder of plug-ins"),
)


class ArgParser:
    @staticmethod
    def ts_parser():
        parser = argparse.ArgumentParser(prog="torchserve", description="Torchserve")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("-v", "--version", action="store_true", help="print the version")
        what.add_argument("--start", action="store_true", help="start the server")
        what.add_argument("--stop", action="store_true", help="stop the server")
        for names, dest, text in _VALUES:
            parser.add_argument(*names, dest=dest, help=text)
        for names, dest, text in _FLAGS:
            parser.add_argument(*names, dest=dest, action="store_true", help=text)
        parser.add_argument("--models", nargs="+", metavar="MODEL_PATH1 MODEL_NAME=MODEL_PATH2...",
                            help="models to load: [NAME=]ARCHIVE, a URL or a file of the store")
        return parser

    @staticmethod
    def model_service_worker_args():
        """Options of TorchServe's own worker, which is not what runs handlers here."""
        parser = argparse.ArgumentParser(prog="model-server-worker",
                                         description="Model Server Worker")
        parser.add_argument("--sock-type", dest="sock_type", required=True,
                            choices=["unix", "tcp"], help="kind of the socket")
        parser.add_argument("--sock-name", dest="sock_name", help="path of a Unix socket")
        parser.add_argument("--host", help="address of a TCP socket")
        parser.add_argument("--port", help="port of a TCP socket")
        parser.add_argument("--metrics-config", dest="metrics_config", help="file of metrics")
        parser.add_argument("--async", dest="async_comm", action="store_true",
                            help="the handler is a coroutine")
        return parser

    @staticmethod
    def extract_args(args=None):
        parser = ArgParser.ts_parser()
        return parser.parse_args(args) if args else parser.parse_args()
