# SPDX-License-Identifier: Apache-2.0
"""`sconce optimize`: compiles a model, proves the result, and packs it.

    source      what is to be optimized: the archive, unpacked; `bare` makes a folder of bare models
    run         the steps; handler_run and engine_run are what is particular to models of handlers,
                and to those that an engine serves
    samples     bodies of requests; `tensors`: as engines read them
    candidates  what this machine can make of it; each is built in a process of its own
    compare     outputs of a candidate beside the original's
    measure     each candidate behind a real server, in turns
    choose      which is written
    pack        the archive that is written
    table, report, progress: what a person sees
    process     what is not to outlive the run

`python -m sconce.optimize JSON` is the whole; the command in C reads its arguments. `record`,
`build` and `engine_build` are the processes (`child`) in which user code and compilers run: one
that dies ends nothing else.
"""
