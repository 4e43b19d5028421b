"""`python -m host.simulation.vm`: make the VM ready and say which one it is."""

import sys

from host.simulation.errors import VmError
from host.simulation.vm import describe, ensure_vm


def main() -> int:
    """Print the VM in use; 1 with the reason if there is none."""
    try:
        vm = ensure_vm(lambda line: print(f"vm: {line}", file=sys.stderr))
    except VmError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(describe(vm)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
