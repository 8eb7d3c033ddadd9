# SPDX-License-Identifier: Apache-2.0
"""`sconce optimize`: compiles the model of an archive, proves the result, and packs it.

    source      what is to be optimized: the archive, unpacked
    samples     what the model is called with: recorded while its own handler answers samples
    candidates  what this machine can make of it; each is built in a process of its own
    compare     outputs of a candidate beside the original's
    measure     each candidate behind a real server, in turns
    choose      which is written
    pack        the archive that is written
    table, report, progress: what a person sees
    process     what is not to outlive the run

`python -m sconce.optimize JSON` is the whole; the command in C reads its arguments. `record` and
`build` are the processes in which user code and compilers run: one that dies ends nothing else.
"""
