# SPDX-License-Identifier: Apache-2.0
"""`sconce optimize`: see the package."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from sconce.optimize import interrupt
from sconce.optimize.failure import Failure, Usage, sentence
from sconce.optimize.source import Source

WRONG_USAGE, INTERRUPTED = 2, 130


def _run_of(options, work):
    source = Source(options["target"], work)
    if source.native:
        from sconce.optimize.engine_run import EngineRun    # needs numpy, and no torch
        return EngineRun(options, work, source)
    from sconce.optimize.handler_run import HandlerRun
    return HandlerRun(options, work, source)


def main(text):
    options = json.loads(text)
    interrupt.hear()
    work = None
    try:
        work = Path(tempfile.mkdtemp(prefix="sconce-optimize-"))
        run = _run_of(options, work)
        run.record()
        run.build()
        run.measure()
        return run.finish()
    except Failure as e:
        print("\nsconce optimize: error: %s" % sentence(e), file=sys.stderr)
        return WRONG_USAGE if isinstance(e, Usage) else 1
    except ImportError as e:
        print("sconce optimize: error: %s: %s has no such package; --python names another "
              "interpreter" % (sentence(e), sys.executable), file=sys.stderr)
        return 1
    except OSError as e:    # a full disk, most likely
        print("\nsconce optimize: error: %s" % sentence(e), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsconce optimize: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    finally:
        if work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
