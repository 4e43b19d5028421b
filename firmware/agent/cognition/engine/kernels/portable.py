"""The set that runs anywhere: every operator's own run()."""

NAME = "portable"


def program(prepared, data):
    """What invoke() calls, in order."""
    return [kernel.run for kernel in prepared]
