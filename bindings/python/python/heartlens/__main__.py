"""The ``heartlens`` command, as the wheel brings it: ``python -m heartlens`` is the same."""

import signal
import sys

from heartlens._heartlens import main as _main


def main() -> None:
    """Run the command with the arguments of this process, and end it with the command's exit code."""
    # Python would only take note of Ctrl-C and wait for its own code to go on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_main(["heartlens", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
