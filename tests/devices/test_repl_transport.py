"""The transport to a raw REPL, with a scripted board at a pty."""

import os
import pty
import threading
import time

from host.devices import board_repl


def test_a_board_that_takes_its_time_is_no_board_without_raw_paste(monkeypatch, capsys):
    monkeypatch.setattr(board_repl, "READ_S", 0.1)
    master, slave = pty.openpty()
    talk = [
        # what is heard, after how long it is answered, with what
        (b"", 0, b">"),
        (b"\x05A\x01", 0.5, b"R\x01\x80\x00"),
        (b"print(1)\x04", 0.5, b"\x04"),
        (b"", 0, b"1\r\n\x04\x04>"),
    ]

    def board():
        for heard, after_s, answer in talk:
            said = b""
            while not said.endswith(heard):
                said += os.read(master, 100)
            time.sleep(after_s)
            os.write(master, answer)

    try:
        with board_repl.BoardRepl(os.ttyname(slave)) as repl:
            thread = threading.Thread(target=board)
            thread.start()
            assert repl.say("print(1)") == "1\r\n"
            thread.join()
    finally:
        os.close(master)
        os.close(slave)
    assert capsys.readouterr().out == ""
