"""`python -P -m harness.system.child PARENT MODULE ...`: a module run until the parent ends."""

import runpy
import sys

from harness.system.parent import end_with_parent


def main() -> None:
    """Watch the parent and run the module as the main program."""
    parent, module = int(sys.argv[1]), sys.argv[2]
    sys.argv = [module, *sys.argv[3:]]
    end_with_parent(parent)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
