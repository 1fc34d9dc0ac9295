"""The command `harness`, and `python -m harness`."""

import sys

NOT_USABLE = """harness: an installed package cannot be used: {error}
  expected:   Python 3.11 or later, with the packages of requirements.lock
  what to do: install the project again, with its lock file
"""


def main() -> None:
    """Call the command line; in a broken installation exit with 2, as 1 has another meaning."""
    try:
        from harness.cli.main import main as command
    except (ImportError, SyntaxError, OSError) as error:
        if (getattr(error, "name", None) or "").startswith("harness"):
            raise
        sys.stderr.write(NOT_USABLE.format(error=error))
        sys.exit(2)
    command()


if __name__ == "__main__":
    main()
