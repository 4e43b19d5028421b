"""A bench for boards: machines set by hand, a client on the serial port."""

import os
import textwrap

from host.simulation.world import Simulation


class Bench:
    """A machine whose quantities a test sets by hand."""

    def __init__(self):
        self.case_temp_c = 41.25
        self.ambient_temp_c = 22.0
        self.supply_v = 12.0
        self.current_a = 0.8
        self.fan_rpm = 1500.0
        self.fan_powered = False
        self.advanced_s = 0.0

    def advance(self, dt_s):
        self.advanced_s += dt_s


class Client:
    """What a program on the other end of the serial cable sees."""

    def __init__(self, path):
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)

    def read(self):
        try:
            return os.read(self._fd, 65536).decode()
        except BlockingIOError:
            return ""

    def write(self, data):
        os.write(self._fd, data)

    def close(self):
        os.close(self._fd)


class Rig:
    """A simulation with boards whose flash is given as text; `output` is what a board printed."""

    def __init__(self, vm, folder, speed=0.0):
        self.folder = folder
        self.simulation = Simulation(speed, vm)
        self.clients = {}
        self.text = {}

    def board(self, main="", boot="", machine=None, name="board", files=None, **kwargs):
        flash = self.folder / name
        flash.mkdir()
        contents = {"main.py": main, "boot.py": boot, **(files or {})}
        for file, text in contents.items():
            if text:
                (flash / file).write_text(textwrap.dedent(text))
        board = self.simulation.add_board(
            name, flash, machine or Bench(), link=self.folder / f"tty-{name}", **kwargs
        )
        board.serial.plug()
        self.clients[name] = Client(board.port)
        self.text[name] = ""
        return board

    def output(self, name="board"):
        self.simulation.boards[name].serial.from_board()
        while True:
            self.simulation.boards[name].serial.flush()
            got = self.clients[name].read()
            if not got:
                return self.text[name]
            self.text[name] += got

    def until(self, text, timeout_s=600, name="board"):
        found = self.simulation.run_until(lambda: text in self.output(name), timeout_s)
        assert found, f"no {text!r} within {timeout_s} s, only: {self.output(name)[-2000:]}"
        return self.output(name)

    def run(self, main, **kwargs):
        """Run a main.py to its end; returns what it printed."""
        board = self.board(main=textwrap.dedent(main) + "\nprint('main ends')\n", **kwargs)
        return self.until("main ends", name=board.name)

    def close(self):
        self.simulation.stop()
        for client in self.clients.values():
            client.close()
