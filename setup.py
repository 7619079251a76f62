"""The front end in C, built where a compiler is; where none is, the installation goes on and numpy does the work.

All else is in pyproject.toml.
"""

import sysconfig

from setuptools import Extension, setup

limited = not sysconfig.get_config_var("Py_GIL_DISABLED")  # Pythons without the lock have no stable ABI
setup(
    ext_modules=[
        Extension(
            "tinyhark.dsp._front_end",
            ["dsp/_front_end.c", "dsp/_front_end_avx2.c", "export/c/hark_frontend.c"],
            include_dirs=["export/c"],
            depends=["export/c/hark_frontend.c", "export/c/hark_frontend.h", "export/c/hark_tables.h"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if limited else [],
            extra_compile_args=["-O3", "-g0"],
            py_limited_api=limited,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if limited else {},
)
