"""`python -m postroom.compiled.recipe OUT`: compile the package below the current directory into OUT.

A process of its own, because compilers print, and keep what they learned in globals.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def compile_all(out: str) -> None:
    """Translate every module to C and compile that; SystemExit with the compilers' words if one cannot be."""
    from Cython.Build import cythonize
    from setuptools import Extension, setup

    files = sorted(file for file in Path().glob("*/*.py") if file.name != "__init__.py")
    cores = os.cpu_count() or 1
    modules = [
        Extension(".".join(file.with_suffix("").parts), [str(file)], extra_compile_args=["-O2", "-g0"])
        for file in files
    ]
    # INVARIANT: annotations are for people and mypy. Taken for C types they would change what is accepted.
    directives = {"annotation_typing": False, "embedsignature": False}
    made = cythonize(modules, language_level=3, compiler_directives=directives, nthreads=cores, quiet=True)
    setup(
        name="postroom-compiled",
        ext_modules=made,
        script_args=["-q", "build_ext", "--build-lib", out, "--build-temp", "temporary", f"-j{cores}"],
    )


if __name__ == "__main__":
    compile_all(sys.argv[1])
