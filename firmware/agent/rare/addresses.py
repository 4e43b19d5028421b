"""IPv4 addresses as text."""


def is_address(host: str) -> bool:
    """Whether it is a dotted address and no name."""
    parts = host.split(".")
    if len(parts) != 4:
        return False
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return False
    return True


def is_private(address: str) -> bool:
    """Whether it is of a private network, this machine, or a link of its own."""
    a, b = [int(part) for part in address.split(".")[:2]]
    return a in (10, 127) or (a == 172 and 16 <= b < 32) or (a, b) in ((192, 168), (169, 254))
