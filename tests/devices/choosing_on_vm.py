"""Runs on the VM: what the boot.py and main.py of a flash make of it.

For each line "FOLDER WORDS" on stdin a line of JSON: the folder boot.py puts in front of sys.path,
the pins it sets, and, unless WORDS is "choose", what main.py's Trial makes of it; "good",
"withdraw" and "excuse" are then told to that.
"""

import json
import os
import sys

pins = {}


class Pin:
    OUT = 1

    def __init__(self, number, mode, value):
        pins[number] = value


class Machine:
    pass


Machine.Pin = Pin
sys.modules["machine"] = Machine
standard_path = [""]


def read(name):
    with open(name) as file:
        return file.read()


def boot():
    pins.clear()
    sys.path[:] = standard_path
    exec(read("/boot.py"), {"__name__": "__main__"})
    return {"path": sys.path[0], "pins": pins}


def try_it(word):
    scope = {"__name__": "main"}
    # Without its last line, which runs it.
    exec(read("/main.py").rsplit("\nmain()\n", 1)[0], scope)
    sys.modules.pop("boot", None)
    trial = scope["Trial"]()
    if word != "count":
        getattr(trial, word)()
    return {"id": trial.id, "failed": trial.failed}


while True:
    line = sys.stdin.readline().strip()
    if not line:
        break
    folder, word = line.split(" ")
    os.umount("/")
    os.mount(os.VfsPosix(folder), "/")
    os.chdir("/")
    answer = boot()
    if word != "choose":
        answer.update(try_it(word))
    print(json.dumps(answer))
