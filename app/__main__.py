"""The command `hark`, also as `python -m tinyhark.app`."""

import os
import sys

# Before numpy is imported: its matrix products here are small, and threads would cost more than they bring.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run `hark` with the arguments of the process and exit with its status."""
    try:
        from .process import prepare

        prepare()
        from .cli import hark
    except KeyboardInterrupt:  # Ctrl-C before the command could say so itself
        sys.exit(130)
    hark(prog_name="hark")


if __name__ == "__main__":
    main()
