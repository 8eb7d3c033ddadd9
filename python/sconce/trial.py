# SPDX-License-Identifier: Apache-2.0
"""What may end the process while it is tried, and whose original is there if it does: the server is
told, and has the next process take the original. A worker sets both; without a server nobody is
told.
"""

lost = ""       # what ended the process that tried it last; "": nothing did
tell = None     # called with whether it is being tried


def attempt(make):
    """What make() returns, or raises."""
    if not tell:
        return make()
    tell(True)
    try:
        return make()
    finally:
        tell(False)
