# SPDX-License-Identifier: Apache-2.0
"""`python -m ts.metrics.metric_collector --gpu N`: prints the machine's figures, and the memory of
the processes whose numbers are on a line of its standard input."""

import argparse
import logging
import sys

from ts.metrics import system_metrics
from ts.metrics.process_memory_metric import check_process_mem_usage


def main():
    parser = argparse.ArgumentParser(prog="metric_collector")
    parser.add_argument("--gpu", type=int, help="how many GPUs there are")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
    system_metrics.collect_all(system_metrics, arguments.gpu)
    check_process_mem_usage(sys.stdin)


if __name__ == "__main__":
    main()
