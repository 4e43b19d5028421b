# mypy: ignore-errors
# Frozen into the VM, as a chip's modules are in flash: they take none of the board's heap.
include("$(MPY_DIR)/extmod/asyncio")  # noqa: F821
freeze("$(MPY_DIR)/silicon")  # noqa: F821
