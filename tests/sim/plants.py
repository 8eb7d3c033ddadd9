#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants faults, one at a time, and shows that the simulator finds each.

Every plant is an edit of one file of a copy of the tree. Most of them are faults that this server
once had. A plant whose text is no longer there is reported: write it anew, or drop it with the
code that it was about. The seeds are the first ones, always: whether a plant is found depends on
the tree alone, not on the machine.

    tests/sim/plants.py [--seeds 150] [NAME …]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
COPY = ROOT / ".cache" / "plants"
OPTIONS = ["-Dtests=enabled", "-Db_sanitize=address,undefined", "-Db_lundef=false"]
SEED_S = 30  # of real time, on a machine that is busy: a run that does not end
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "halt_on_error=1"}

# name: file, what is there, what is put there
PLANTS = {
    "a body becomes the next request": (
        "src/net/h1_answer.c", "\t\tb->of = NULL;\n",
        "\t\tb->of = NULL;\n\t\tb->reading = false;\n\t\tc->h1.parser.started = false;\n"),
    "an answer goes behind a stream that broke off": (
        "src/net/h1_answer.c", "e->x.out.aborted || n + 3", "n + 3"),
    "a broken stream looks whole": (
        "src/net/h1_answer.c", "if (e->chunked && !o->bodiless && !o->aborted)",
        "if (e->chunked && !o->bodiless)"),
    "what waits without memory ends the connection": (
        "src/net/h1.c", "\t\th1_refuse(c, 503, H1_NO_MEMORY);\n", "\t\tconn_doom(c);\n"),
    "answers of one connection in another order": (
        "src/net/h1_answer.c", "\tlist_push_back(&c->h1.exchanges, &e->x.link);",
        "\tlist_push_front(&c->h1.exchanges, &e->x.link);"),
    "a lateness is never over": (
        "src/net/conn.c", "\twait_stop(w);\n\tc->net->stats.timeouts_total +=",
        "\tc->net->stats.timeouts_total +="),
    "204 has a length": (
        "src/net/h1_answer.c", ".no_length = o->answer.status == 204 ||",
        ".no_length = 0 &&"),
    "a connection is never closed": (
        "src/net/conn.c", "\telse if (c->close_after && !c->h1.n_exchanges && !c->heard)\n"
        "\t\tconn_leave(c);\n",
        ""),
    "a request's body is never given back": (
        "src/api/call.c", "\tbody_finish(&c->body);\n", ""),
    "a piece of a stream is never given back": (
        "src/api/stream.c", "\t\tbudget_give(k->budget, k->charged);\n", "\t\t;\n"),
    "a release is forgotten": (
        "src/fleet/worker_death.c", "\t\tw->ops->release(w->owner);\n", ""),
    "a grant is never given back": (
        "src/fleet/worker_frames.c", "\toutbound_revoke(l->memory->outbound, l->grant);\n", ""),
    "a grant is given back twice": (
        "src/fleet/worker_frames.c", "\tl->grant = r->grant;\n\tr->grant = (struct span){ 0 };\n",
        "\tl->grant = r->grant;\n"),
    "an answer for another request": (
        "src/fleet/worker_frames.c", "\t\t\tif (r->id == id) {\n",
        "\t\t\tif (r->id >= id) {\n"),
    "memory of a request given to another": (
        "src/fleet/worker_frames.c", "\treply->release = lease_release;\n\treply->arg = l;\n",
        "\tlease_release(l);\n\treply->release = free;\n\treply->arg = NULL;\n"),
    "a request that began an answer is run again": (
        "src/core/dispatch.c", "r->answered", "false"),
    "a hung worker is waited for": (
        "src/fleet/version.c", "\t\tworker_tick(container_of(n, struct worker, link), now_ns);\n",
        "\t\t;\n"),
    "who waits for the end of a version holds up the server's": (
        "src/fleet/fleet.c", "\tversions_stop_waiting(f);\n", ""),
    "a header may break lines": (
        "src/fleet/worker_frames.c", "if (!r->spoiled && !worker_reply_valid(fr))",
        "if (0 && !worker_reply_valid(fr))"),
    "any memory may be named": (
        "src/pool/outbound.c",
        "if (!grant.length || offset < grant.offset || length > grant.length ||\n"
        "\t    offset - grant.offset > grant.length - length)",
        "if (length > o->memory.size || offset > o->memory.size - length)"),
    "a worker may stream without end": (
        "src/fleet/worker_frames.c", "r->streamed - r->opened >= FRAME_WINDOW_BYTES", "false"),
    "a call does not know that its client has left": (
        "src/api/call.c", "\tc->x = NULL;\n", ""),
    "a budget without an end": (
        "src/base/budget.h", "return n <= b->limit && b->used <= b->limit - n;", "return true;"),
    "part of an answer is sent twice": (
        "src/net/h1_answer.c", "\tk->p += s.data;\n\tk->n -= s.data;\n",
        "\ts.data -= s.data > 9000;\n\tk->p += s.data;\n\tk->n -= s.data;\n"),
    "a lost sequence is freed while it runs": (
        "src/core/sequence.c", "\t\tif (q->n || q->running)\n\t\t\tcontinue;\n", ""),
    "only a piece that has gone counts as taken": (
        "src/fleet/worker.c", "r->delivered ? r->delivered(r) : r->taken", "r->taken"),
    "a stream is given up before it is late": (
        "src/fleet/worker.c", "if (fl->late && flight_is_held(fl)) {",
        "if (flight_is_held(fl)) {"),
    "a lost sequence is forgotten for another one": (
        "src/core/sequence.c", "\t\tsequences_remember(s, sequence_id(q));\n\t\tsequence_free",
        "\t\tsequence_free"),
    "what is left of a lost sequence lets the next one go": (
        "src/core/sequence.c", "if (r == q->last && (final", "if ((final"),
    "two of a sequence at once": (
        "src/core/sequence.c", "\t\tq->busy = true;\n", "\t\tq->busy = false;\n"),
    "a sequence goes on elsewhere while its first request runs": (
        "src/core/sequence.c", "if (q->touched || q->running)", "if (q->touched)"),
    "what is being taken away has longer than the stop": (
        "src/fleet/fleet.c", "\tversions_end_by(f, clock_now_ns() + grace_ms * NS_PER_MS);\n", ""),
    "a piece in memory of nobody counts": (
        "src/fleet/worker_frames.c", "\tif (granted && !view)\n",
        "\tif (granted && !view && !reply->final)\n\t\tr->streamed += fr->length;\n"
        "\tif (granted && !view)\n"),
    "who waits for workers is forgotten": (
        "src/fleet/version_end.c",
        "\tversion_settle(v, v->fleet->stopping ? &version_stopping : &unregistered);\n", ""),
}


def say(text):
    print(text, flush=True)


def run(command, **more):
    return subprocess.run(command, cwd=COPY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **more)


def copy_tree():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT,
                            check=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, COPY / name
        if not source.is_file() or name.startswith(("docs/", "python/tests")):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)
            shutil.copymode(source, target)
    packages = ROOT / "subprojects" / "packagefiles"
    shutil.copytree(packages, COPY / "subprojects" / "packagefiles", dirs_exist_ok=True)
    if not (COPY / "build" / "build.ninja").exists():
        done = run(["meson", "setup", "build", *OPTIONS])
        if done.returncode:
            sys.exit(done.stdout.decode())


def build():
    done = run(["ninja", "-C", "build", "tests/sim/sim"])
    return "" if done.returncode == 0 else done.stdout.decode()


def simulate(seeds):
    """The seed that fails, and the line that tells of it; (0, why) when there is none."""
    try:
        done = run(["build/tests/sim/sim", "--seed", "1", "--seeds", str(seeds)],
                   env={**os.environ, **ENVIRONMENT}, timeout=seeds * SEED_S)
    except subprocess.TimeoutExpired:
        return 0, "it did not come to its end in %d s" % (seeds * SEED_S)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    marks = ("FAILED", "Assertion", "ERROR: AddressSanitizer", "runtime error", "LeakSanitizer",
             "ended by signal")
    told = [line for line in lines if any(mark in line for mark in marks)]
    if done.returncode == 0:
        return 0, "%d seeds" % seeds
    # Whatever its run has said, the last line is about the seed.
    seed = re.search(r"FAILED, seed (\d+): make sim", lines[-1])
    if not seed:
        return 0, "it ended with %d" % done.returncode
    return int(seed.group(1)), told[0]


def try_plant(name, seeds):
    path, old, new = PLANTS[name]
    file = COPY / path
    text = file.read_text()
    if text.count(old) == 0:
        return False, "its text is not in %s any more" % path
    try:
        file.write_text(text.replace(old, new, 1))
        broken = build()
        if broken:
            return False, "it does not build:\n" + broken[-2000:]
        seed, told = simulate(seeds)
        return bool(seed), "seed %d: %s" % (seed, told[:140]) if seed else told
    finally:
        file.write_text(text)


def main():
    parser = argparse.ArgumentParser(description="Plant faults and let the simulator find them.")
    parser.add_argument("--seeds", type=int, default=150, help="for each (default 150)")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only plants with this in it")
    wanted = parser.parse_args()
    names = [n for n in PLANTS if not wanted.names or any(w in n for w in wanted.names)]
    copy_tree()
    broken = build()
    if broken:
        sys.exit(broken)
    missed = 0
    for name in names:
        found, text = try_plant(name, wanted.seeds)
        missed += not found
        say("%s %s (%s)" % ("found " if found else "MISSED", name, text))
    say("%d of %d plants were found" % (len(names) - missed, len(names)))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
