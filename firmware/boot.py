# First thing after reset: the relay in its safe state (fan on), whatever else may be broken. Then
# the set of files to run, which a deploy switches (docs/deploy.md).

ACTIVE = "/active"
TRIES = 3
# The set at the root, which no deploy has put there.
PLAIN = "."


def read_active():
    """[slot, id, "good" | "back" | boots on trial, other slot, its id]; [] where it is damaged,
    None where there is none.
    """
    import binascii

    record = None
    # The new one counts where power failed between writing and renaming it.
    for name in (ACTIVE, ACTIVE + ".new"):
        try:
            with open(name) as file:
                text, crc = file.read(100).strip().rsplit(" ", 1)
            if int(crc, 16) == binascii.crc32(text.encode()) & 0xFFFFFFFF:
                found = text.split(" ")
                if len(found) == 5:
                    return found
        except OSError:
            continue
        except ValueError:
            pass
        if name == ACTIVE:
            record = []
    return record


def folder(slot):
    return "" if slot == PLAIN else "/" + slot


def whole(slot):
    """Whether there is such a set: its manifest is written last and removed first."""
    import os

    try:
        os.stat("/agent" if slot == PLAIN else "/" + slot + "/manifest")
        return True
    except OSError:
        return False


def order(record):
    """Slots in the order in which they are to be tried."""
    if record:
        slot, _, state, other, _ = record
        given_up = state.isdigit() and int(state) >= TRIES
        slots = [other, slot] if given_up else [slot, other]
    else:
        slots = ["a", "b"]
        slots.insert(0 if record is None else 2, PLAIN)
    return [slot for slot in slots if whole(slot)] or [PLAIN]


def safe_relay(slots=None):
    """Sets the relay's pin as the first settings that can be read say; whether there were any."""
    import json

    import machine

    for slot in slots or order(read_active()):
        try:
            with open(folder(slot) + "/config.json") as file:
                relay = json.load(file)["relay"]
            # On a normally closed contact the fan runs without current in the coil.
            coil = relay.get("contact", "nc") == "no"
            level = 1 if coil == (relay.get("active", "high") == "high") else 0
            machine.Pin(relay["pin"], machine.Pin.OUT, value=level)
            return True
        except Exception:
            pass
    # None: the pin stays an input, as reset left it, and the coil off.
    return False


def begin():
    slots = [PLAIN]
    try:
        slots = order(read_active())
    except Exception:
        pass
    try:
        safe_relay(slots)
    except Exception:
        pass
    if slots[0] != PLAIN:
        import sys

        sys.path.insert(0, folder(slots[0]))


if __name__ == "__main__":
    begin()
    # main.py imports this file again while it needs it; until then the room is worth more.
    del read_active, folder, whole, order, safe_relay, begin
