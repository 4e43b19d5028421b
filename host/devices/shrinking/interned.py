"""Names every MicroPython image has in its flash: a .mpy refers to them by number.

One of these takes one or two bytes of a .mpy's table of names, any other its letters and two more.
The list is part of the format (version 6): static_qstr_list in MicroPython's py/makeqstrdata.py.
"""

# One byte each, in this order; then two.
_SHORT = "abs all any append args bool builtins"
_LONGER = """
    bytes dict dir end get hash id int iter key len list map max min next object ord pop pow print
    repr round self sep set sort split start step stop str strip sum tuple type upper value values
    zip bytearray callable chr classmethod clear copy count divmod endswith eval exec extend find
    format from_bytes getattr globals hasattr index insert isalpha isdigit isinstance islower
    isspace issubclass isupper items join little locals lower lstrip open popitem read readinto
    readline remove replace reverse rfind rindex rsplit rstrip send setattr setdefault sorted
    startswith staticmethod throw to_bytes update write close keys
"""
# The compiler makes something of its own of these: const, micropython, range, super.
VARIABLES = tuple((_SHORT + _LONGER).split())

# The interpreter asks objects for these: exceptions, generators, streams, file systems, mappings.
_ASKED_FOR = "args close keys open read readinto readline remove send throw value write"
ATTRIBUTES = tuple(name for name in VARIABLES if name not in _ASKED_FOR.split())
