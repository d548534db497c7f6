"""The entry point of `trimtab` and `python -m tui`. All it does is hand over to the command line."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line with this process's arguments and return the exit status."""
    from tui.cockpit import prepare_environment
    from tui.command_line import main as command_line

    prepare_environment()
    return command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
