# SPDX-License-Identifier: Apache-2.0
"""What a wheel's name says, and what its executables need."""

import re
import subprocess
import zipfile

C_LIBRARY = re.compile(r"(lib(c|m|dl|rt|pthread|resolv|util)\.so\.\d|ld-linux[\w-]*\.so\.\d)$")
NAME = re.compile(r"sconce-[\d.]+-py3-none-manylinux_2_(\d+)_(x86_64|aarch64)\.whl")


def name_of(wheel):
    """Its machine, and the second number of the C library that it wants at least."""
    match = NAME.fullmatch(wheel.name)
    assert match, wheel.name
    return match[2], int(match[1])


def unpacked(wheel, folder):
    """The executable `sconce` of a wheel, with all that is beside it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    scripts, = folder.glob("sconce-*.data/scripts")
    for path in scripts.iterdir():
        path.chmod(0o755)
    return scripts / "sconce"


def readelf(option, executable):
    return subprocess.run(["readelf", "--wide", option, executable], capture_output=True, text=True,
                          check=True).stdout


def machine_of(executable):
    return re.search(r"Machine: +(.*)", readelf("--file-header", executable))[1]


def needs_only_the_c_library(executable):
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("--dynamic", executable))
    assert needed and [name for name in needed if not C_LIBRARY.match(name)] == []
    assert not re.search(r"\((RPATH|RUNPATH)\)", readelf("--dynamic", executable))


def newest_symbol(executable):
    return max(map(int, re.findall(r"GLIBC_2\.(\d+)", readelf("--version-info", executable))))
