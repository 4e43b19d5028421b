# What a simulated board does before boot.py: its flash becomes "/", its modules are those of a
# device.

import os
import sys
import time

import _bus

try:
    import _device
except ImportError:
    _device = None


def run(flash, silicon=None):
    os.umount("/")
    os.mount(os.VfsPosix(flash), "/")
    os.chdir("/")
    if _device:
        sys.path[:] = ["", ".frozen", "/lib"]
    else:
        os.mount(os.VfsPosix(silicon), "/.silicon")
        sys.path[:] = ["", "/lib", "/.silicon", ".frozen"]
    sys.modules["utime"] = time
    _bus.call(_bus.HELLO)
    if _device is None:
        _plain()
        return
    raw = _device.run(_bus.reply[_bus.HEADER + 1])
    print("MPY: soft reboot")
    sys.exit(65 if raw else 64)


def _plain():
    # A VM without a device's REPL: the stock one follows when this returns.
    for name in ("boot.py", "main.py"):
        try:
            os.stat("/" + name)
        except OSError:
            continue
        try:
            with open("/" + name) as file:
                code = compile(file.read(), name, "exec")
            exec(code, {"__name__": "__main__"})
        except Exception as error:
            sys.print_exception(error)
            if name == "boot.py":
                return
        except KeyboardInterrupt as error:
            sys.print_exception(error)
            return
