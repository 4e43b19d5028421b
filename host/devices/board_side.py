# Sent to a board's raw REPL by board_repl.py, and run there: what a deploy does to the flash. Every
# function may be called twice, because an answer may get lost.
import binascii
import gc
import hashlib
import os
import sys

_VERSION = 1
_file = None


def _call(text, crc):
    if binascii.crc32(text.encode()) != crc:
        return
    try:
        answer = "=" + str(eval(text))
    except OSError as error:
        answer = f"!{error.args[0]}"
    print(f"{binascii.crc32(answer.encode()):08x} {answer}")
    gc.collect()


def _hash(path):
    digest, buffer = hashlib.sha256(), bytearray(512)
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError:
        return "-"
    with file:
        while True:
            n = file.readinto(buffer)
            if not n:
                return binascii.hexlify(digest.digest()).decode()
            digest.update(buffer if n == 512 else memoryview(buffer)[:n])


def _lists(*paths):
    return ":".join([_list(path) for path in paths])


def _list(path):
    # "folder/", "file size sha256", ... of one folder.
    try:
        entries = list(os.ilistdir(path or "/"))  # type: ignore[attr-defined]
    except OSError:
        return ""
    lines = []
    for entry in entries:
        name = entry[0]
        if entry[1] & 0x4000:
            lines.append(name + "/")
        else:
            lines.append(f"{name} {_entry(path + '/' + name)}")
    return "|".join(lines)


def _folders(path):
    entries = os.ilistdir(path)  # type: ignore[attr-defined]
    return "|".join(entry[0] for entry in entries if entry[1] & 0x4000)


def _entry(path):
    try:
        return f"{os.stat(path)[6]} {_hash(path)}"
    except OSError:
        return "-"


def _text(path):
    try:
        with open(path) as file:
            return repr(file.read(100))
    except OSError:
        return "-"
    except ValueError:
        return "''"


def _read(path, start, size):
    with open(path, "rb") as file:
        file.seek(start)
        return binascii.b2a_base64(file.read(size)).decode().strip()


def _machine():
    return getattr(sys.implementation, "_machine", "")


def _room():
    status = os.statvfs("/")
    return f"{status[1]} {status[3]}"


def _open(path):
    global _file
    if _file:
        _file.close()
    _file = open(path, "wb")  # noqa: SIM115


def _write(offset, data):
    if not _file:
        # The board has started anew in between.
        raise OSError(9)
    _file.seek(offset)
    _file.write(binascii.a2b_base64(data))


def _close(path):
    global _file
    if _file:
        _file.close()
        _file = None
    return _hash(path)


def _copy(source, path):
    buffer = bytearray(512)
    with open(source, "rb") as file, open(path, "wb") as copy:
        while True:
            n = file.readinto(buffer)
            if not n:
                break
            copy.write(buffer if n == 512 else memoryview(buffer)[:n])
    return _hash(path)


def _many(*calls):
    return " ".join([str(call[0](*call[1:])) for call in calls])


def _remove(_, path):
    try:
        status = os.stat(path)
    except OSError:
        return
    (os.rmdir if status[0] & 0x4000 else os.remove)(path)


def _mkdir(_, path):
    try:
        os.mkdir(path)
    except OSError:
        os.stat(path)


def _rename(source, path):
    try:
        os.rename(source, path)
    except OSError:
        os.stat(path)
    return _hash(path)
