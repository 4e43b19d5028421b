"""A simulated board behaves like a device: start, time, memory, resets."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from simulation_rig import Bench, Rig

from host.simulation.board import Cause, State
from host.simulation.errors import BoardError, SimulationError
from host.simulation.world import ABSENT_SPEED, Simulation

pytestmark = pytest.mark.vm

RELAY_ON = "import machine; machine.Pin(26, machine.Pin.OUT, value=1)\n"


def test_boot_runs_before_main_and_the_repl_follows(rig):
    rig.board(boot="print('one'); x = 1", main="print('two', x, __name__)")
    text = rig.until(">>> ")
    assert text.index("POWERON_RESET") < text.index("one\r\n") < text.index("two 1 __main__\r\n")
    assert "MicroPython v1." in text


def test_an_error_in_main_is_reported_and_leaves_the_repl(rig):
    rig.board(main="def f():\n    1 / 0\nf()")
    text = rig.until(">>> ")
    assert 'File "main.py", line 2, in f' in text
    assert "ZeroDivisionError" in text


def test_the_flash_is_the_whole_file_system(rig):
    text = rig.run(
        """
        import os, sys
        print(os.getcwd(), os.listdir("/"), sys.path)
        open("/a.txt", "w").write("x")
        os.mkdir("/lib")
        print("inside", open("/lib/../a.txt").read())
        for f in (open, os.listdir, os.stat, os.remove, os.chdir):
            for path in ("/../tty-board", "..", "/lib/../../x", "../../etc", "/etc/hostname"):
                try:
                    f(path)
                    print("reached", f, path)
                except OSError as error:
                    assert error.errno == 2
        """
    )
    assert "/ ['main.py'] ['', '.frozen', '/lib']" in text
    assert "inside x" in text
    assert "reached" not in text
    assert (rig.folder / "board" / "a.txt").read_text() == "x"


def test_the_heap_is_enforced(rig, vm):
    text = rig.run(
        """
        import gc
        gc.collect()
        print("heap", gc.mem_free() + gc.mem_alloc(), gc.mem_free())
        bytearray(80_000)
        try:
            bytearray(111 * 1024)
        except MemoryError:
            print("too much")
        """
    )
    total, free = map(int, re.search(r"heap (\d+) (\d+)", text).groups())
    scale = vm.bits // 32
    assert 106 * 1024 * scale < total <= 110 * 1024 * scale
    assert free > 98 * 1024 * scale
    assert "too much" in text or scale == 2


def test_sleep_takes_virtual_time_only(rig):
    began = time.monotonic()
    text = rig.run(
        """
        import time
        before = time.ticks_ms()
        time.sleep(100); time.sleep_ms(250); time.sleep_us(500)
        ms = time.ticks_diff(time.ticks_ms(), before)
        print("slept", ms, time.ticks_us() % 1000, time.time())
        for _ in range(40): time.ticks_ms()
        print("still", time.ticks_diff(time.ticks_ms(), before))
        import utime
        print(utime is time)
        """,
    )
    assert "slept 100250 500 100\r\n" in text
    assert "still 100250\r\nTrue\r\n" in text
    assert time.monotonic() - began < 60


def test_a_loop_that_watches_the_clock_ends(rig):
    text = rig.run(
        """
        import time
        began = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), began) < 30: pass
        print("waited")
        """
    )
    assert "waited" in text


def test_boards_share_one_clock(rig):
    main = """
        import time
        for i in range(4):
            time.sleep_ms({})
            print(time.ticks_ms())
        print("main ends")
    """
    for name, period_ms in (("a", 300), ("b", 700)):
        rig.board(main.format(period_ms), name=name)
    rig.until("main ends", name="b")
    assert "300\r\n600\r\n900\r\n1200\r\n" in rig.output("a")
    assert "700\r\n1400\r\n2100\r\n2800\r\n" in rig.output("b")


def test_machines_advance_with_the_clock(rig, bench):
    rig.board(main="import time\nwhile True: time.sleep_ms(20)", machine=bench)
    ticks = []
    rig.simulation.on_tick.append(lambda now_s, dt_s: ticks.append((now_s, dt_s)))
    rig.simulation.run_for(2.0)
    assert bench.advanced_s == pytest.approx(2.0)
    assert len(ticks) == 20
    assert ticks[-1] == (pytest.approx(2.0), 0.1)


def test_a_vm_that_never_starts_is_an_error(vm, tmp_path):
    rig = Rig(replace(vm, argv=("/bin/false",)), tmp_path)
    rig.board(main="print(1)")
    try:
        with pytest.raises(BoardError, match="board board: its VM does not start"):
            rig.simulation.run_for(10)
    finally:
        rig.close()


def test_a_board_without_a_flash_is_an_error(vm, tmp_path):
    with Simulation(0, vm) as simulation, pytest.raises(BoardError, match="build it first"):
        simulation.add_board("a", tmp_path / "nowhere", Bench())


def test_a_port_name_that_is_taken_is_an_error(rig):
    (rig.folder / "tty-board").write_text("a file")
    with pytest.raises(BoardError, match="choose another"):
        rig.board()
    assert (rig.folder / "tty-board").read_text() == "a file"


def test_a_stopped_simulation_is_over(rig):
    rig.board()
    rig.simulation.run_for(0.5)
    rig.simulation.stop()
    rig.simulation.stop()
    with pytest.raises(SimulationError, match="make a new one"):
        rig.simulation.run_for(1)


def test_a_simulation_in_a_thread(rig, bench):
    rig.board("import time\nwhile True: time.sleep_ms(20)", machine=bench)
    rig.simulation.speed = 20.0
    rig.simulation.start()
    late = rig.simulation.call(lambda: rig.simulation.clock.now_s)
    rig.simulation.run_for(4)
    assert rig.simulation.clock.now_s >= late + 4
    passed_s, now_s = rig.simulation.call(lambda: (bench.advanced_s, rig.simulation.clock.now_s))
    assert passed_s == pytest.approx(now_s, abs=0.11)
    with pytest.raises(ZeroDivisionError):
        rig.simulation.call(lambda: 1 / 0)
    assert rig.simulation.failure is None


NOISY = """
import time
from machine import ADC, Pin
adc = ADC(Pin(34), atten=3)
for i in range(50):
    time.sleep_ms(37)
    print(time.ticks_us(), adc.read_u16())
print("main ends")
"""


def test_two_runs_are_the_same(vm, tmp_path):
    outputs = []
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        rig = Rig(vm, tmp_path / run)
        try:
            for name in ("a", "b"):
                rig.board(NOISY, name=name)
            outputs.append((rig.until("main ends", name="a"), rig.until("main ends", name="b")))
        finally:
            rig.close()
    assert outputs[0] == outputs[1]
    assert outputs[0][0] != outputs[0][1]


@pytest.mark.parametrize(
    "main",
    ["while True: pass", "import sys; sys.stdin.read(1)", "1 / 0"],
    ids=["hung", "waits for input", "at the prompt"],
)
def test_a_board_that_does_not_sleep_holds_nobody_back(rig, main):
    rig.board(f"print('there')\n{main}", name="rude")
    rig.board("import time\nwhile True: time.sleep(1); print('tick', time.time())", name="good")
    rig.until("tick 20", name="good")
    assert rig.simulation.clock.speed == (ABSENT_SPEED if main == "while True: pass" else 0)


def test_a_hung_loop_is_reset_by_the_watchdog_and_the_fan_runs(rig, bench):
    board = rig.board(
        machine=bench,
        boot="import machine; print('cause', machine.reset_cause())",
        main=f"""
        {RELAY_ON}
        import time
        if machine.reset_cause() == machine.PWRON_RESET:
            dog = machine.WDT(timeout=3000)
            for i in range(10): time.sleep(1); dog.feed()
            print("fed")
            while True: pass
        time.sleep(1000)
        """,
    )
    relay = []
    rig.simulation.on_tick.append(lambda now_s, dt_s: relay.append((now_s, bench.fan_powered)))
    rig.until("fed")
    assert board.relay.energised
    rig.until("cause 3", timeout_s=30)
    assert "TG1WDT_SYS_RESET" in rig.output()
    assert board.resets == {Cause.POWER_ON: 1, Cause.WATCHDOG: 1}
    # It started at 0.3 s and was fed last 10 s later, so the dog bites at 13.3 s; then it boots.
    ran = [round(now_s, 1) for now_s, powered in relay if powered]
    assert ran == [0.1, 0.2, 0.3, 13.4, 13.5, 13.6]


def test_the_relay_falls_back_at_reset_and_at_power_off(rig, bench):
    board = rig.board(RELAY_ON + "import time\nprint('on')\ntime.sleep(1000)", machine=bench)
    assert bench.fan_powered
    rig.until("on")
    assert board.relay.energised
    assert not bench.fan_powered
    board.hard_reset()
    assert bench.fan_powered
    rig.simulation.run_for(1)
    assert not bench.fan_powered
    board.stop()
    assert bench.fan_powered
    assert board.port is None


@pytest.mark.parametrize(
    ("leave", "cause", "relay"),
    [
        ("machine.reset()", 2, 0),
        ("machine.soft_reset()", 5, 1),
        ("raise SystemExit", 5, 1),
    ],
)
def test_resets_from_code(rig, leave, cause, relay):
    board = rig.board(
        boot="""
            import machine
            print("cause", machine.reset_cause(), "relay", machine.Pin(26).value())
            """,
        main=f"""
            import time
            if machine.reset_cause() == 1:
                machine.Pin(26, machine.Pin.OUT, value=1)
                {leave}
            time.sleep(1000)
            """,
    )
    text = rig.until(f"cause {cause} relay {relay}")
    assert ("MPY: soft reboot" in text) == (cause == 5)
    assert board.crashes == 0


def test_a_vm_that_dies_starts_again(rig, bench):
    board = rig.board(RELAY_ON + "print('up')\nimport time\ntime.sleep(1000)", machine=bench)
    rig.until("up")
    os.kill(board.pid, signal.SIGSEGV)
    while not board.crashes:
        rig.simulation.run_for(0.01)
    assert board.state is State.RESTARTING
    assert bench.fan_powered
    assert rig.simulation.run_until(lambda: rig.output().count("up") == 2, timeout_s=5)
    assert board.resets[Cause.HARD] == 1


def test_ctrl_c_interrupts_and_ctrl_d_starts_again(rig):
    rig.board(main="import time\nprint('go')\nwhile True: time.sleep(1)")
    rig.until("go")
    rig.clients["board"].write(b"\x03")
    assert "KeyboardInterrupt" in rig.until(">>> ")
    rig.clients["board"].write(b"\x04")
    assert rig.simulation.run_until(lambda: rig.output().count("go") == 2, timeout_s=60)


def test_ctrl_c_passes_a_full_input_buffer(rig):
    rig.board(main="import time\nprint('go')\nwhile True: time.sleep(1)")
    rig.until("go")
    for _ in range(4):
        rig.clients["board"].write(b"x" * 3000)
        rig.simulation.run_for(2)
    rig.clients["board"].write(b"\x03")
    assert "KeyboardInterrupt" in rig.until(">>> ")


def test_a_board_never_waits_for_its_client(rig):
    board = rig.board(
        """
        import time
        for i in range(3000): print("line", i, "." * 50)
        time.sleep(1)
        print("last")
        time.sleep(1000)
        """
    )
    rig.simulation.run_for(3)
    assert board.serial.dropped > 100_000
    assert "last" in rig.output()


def test_the_serial_cable_can_be_pulled(rig):
    board = rig.board(main="import time\nwhile True: time.sleep(1); print('tick', time.time())")
    rig.until("tick 2")
    link = Path(board.port)
    board.unplug_serial()
    assert board.port is None
    assert not link.is_symlink()
    rig.simulation.run_for(5)
    board.plug_serial()
    assert link.is_symlink()
    assert board.state is not State.OFF


def test_nothing_survives_the_parent(vm, tmp_path):
    (tmp_path / "main.py").write_text("while True: pass")
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
sys.path.insert(0, {str(Path(__file__).parent)!r})
from simulation_rig import Bench
from host.simulation.world import Simulation
simulation = Simulation(1.0)
board = simulation.add_board("a", {str(tmp_path)!r}, Bench())
simulation.run_for(1)
print(board.pid, flush=True)
simulation.start()
import time
time.sleep(60)
"""
    host = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        pid = int(host.stdout.readline())
        os.kill(pid, 0)
    finally:
        host.kill()
        host.wait()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and "Z" not in _state(pid):
        assert time.monotonic() < deadline, f"the VM {pid} outlived the simulation"
        time.sleep(0.02)


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
