"""The operators there are, in words. Imported only to refuse another."""

from . import kernels


def supported() -> str:
    return ", ".join(
        "%s v%d" % entry[:2] + ("-%d" % entry[2] if entry[2] > entry[1] else "")
        for entry in sorted(kernels().values())
    )
