"""Asks boot.py and main.py in the real VM which set they take from a flash."""

import json
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("choosing_on_vm.py")


class Chooser:
    def __init__(self, vm):
        self._process = subprocess.Popen(
            [*vm.argv, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, root, word="choose"):
        self._process.stdin.write(f"{root} {word}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "boot.py or main.py failed in the VM: its traceback is on stderr"
        return json.loads(line)

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=60)
