"""Models a set on trial has been refused: does that speak against the set?"""

import os

FILES = ("manifest.json", "model.tflite")
PIECE = 256
PLAIN = "."  # as in boot.py


def new_faults(record, refused, before):
    """Those of the roles `refused` that the set before did not have to do without for the same
    model. Where there are any, that one is the better set.

    record: the five fields of /active. before: roles the set before was refused, None where
    nothing is known: then the same model counts as refused there, too.
    """
    ours, theirs = folder(record[0]), folder(record[3])
    found = []
    for role in refused:
        known = before is None or role in before
        if not known or not same(ours + "/models/" + role, theirs + "/models/" + role):
            found.append(role)
    return found


def folder(slot):
    return "" if slot == PLAIN else "/" + slot


def same(one, other):
    """Whether two folders have the same model. A file that cannot be read is like no other."""
    try:
        return all(_same(one + "/" + name, other + "/" + name) for name in FILES)
    except OSError:
        return False


def _same(one, other):
    if os.stat(one)[6] != os.stat(other)[6]:
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        while True:
            piece = first.read(PIECE)
            if piece != second.read(PIECE):
                return False
            if not piece:
                return True
