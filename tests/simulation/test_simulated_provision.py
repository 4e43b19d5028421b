"""Finding or making the VM: what is tried, what goes wrong, and that nothing is left half-made."""

import io
import os
import shutil
import tarfile
import threading

import pytest

from host.simulation.errors import VmError
from host.simulation.vm import Vm, cache, describe, ensure_vm
from host.simulation.vm.distribution import own_entries
from host.simulation.vm.provision import VARIABLE

GOOD = "#!/bin/sh\necho '[[1, 25, 0], 64, true, false]'\n"
OLD = "#!/bin/sh\necho '[[1, 23, 0], 64, true, false]'\n"
APT_WITHOUT_NETWORK = "#!/bin/sh\necho 'E: Temporary failure resolving deb.example' >&2\nexit 100\n"


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A PATH with nothing on it; call it to put programs there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(VARIABLE, raising=False)

    def put(**programs):
        for name, content in programs.items():
            name = name.replace("_", "-")
            if content is None:
                real = shutil.which(name, path="/usr/bin:/bin:/usr/local/bin")
                if real is None:
                    pytest.skip(f"no {name} here")
                (folder / name).symlink_to(real)
            else:
                (folder / name).write_text(content)
                (folder / name).chmod(0o755)
        return folder

    return put


def source_package(folder, files):
    """A source package in the cache, with these files in it."""
    (folder / "source").mkdir(parents=True)
    with tarfile.open(folder / "source" / "micropython_9.orig.tar.xz", "w:xz") as tar:
        for name, text in files.items():
            data = text.encode()
            info = tarfile.TarInfo(f"micropython-9/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def left_in(folder):
    return sorted(p.name for p in folder.iterdir() if p.name not in ("lock", "source"))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (None, "which is not a program"),
        ("#!/bin/sh\nexit 3\n", r"not a usable MicroPython \(exit 3\)"),
        ("#!/bin/sh\necho hello\n", "does not answer like a MicroPython"),
        ("not a program at all", "cannot be started"),
        (OLD, "is MicroPython 1.23.0; boards need 1.24 or newer"),
    ],
)
def test_a_named_vm_that_does_not_work(path, tmp_path, monkeypatch, program, message):
    name = str(tmp_path / "bin" / "mine")
    if program is not None:
        path(mine=program)
    monkeypatch.setenv(VARIABLE, name)
    with pytest.raises(VmError, match=message):
        ensure_vm(cache_folder=tmp_path / "cache")


def test_a_named_vm_comes_first(path, tmp_path, monkeypatch):
    path(mine=GOOD, micropython=OLD)
    monkeypatch.setenv(VARIABLE, "mine")
    vm = ensure_vm(cache_folder=tmp_path / "cache")
    assert (vm.path.name, vm.version, vm.bits, vm.raw_repl) == ("mine", "1.25.0", 64, False)
    assert "mpremote cannot attach" in vm.note


def test_with_nothing_at_all_the_error_says_what_to_install(path, tmp_path):
    path()
    with pytest.raises(VmError) as caught:
        ensure_vm(cache_folder=tmp_path / "cache")
    text = str(caught.value)
    for part in ("no gcc and no make", "no dpkg", "no micropython on PATH", VARIABLE):
        assert part in text


@pytest.mark.parametrize(
    ("tool", "hint"),
    [
        ("apt_get", "sudo apt-get install gcc-multilib make"),
        ("dnf", "sudo dnf install micropython"),
        ("pacman", "sudo pacman -S micropython"),
    ],
)
def test_the_hint_fits_the_system(path, tmp_path, tool, hint):
    path(**{tool: APT_WITHOUT_NETWORK})
    with pytest.raises(VmError, match=hint):
        ensure_vm(cache_folder=tmp_path / "cache")


def test_without_a_network_the_one_on_path_is_taken(path, tmp_path):
    path(gcc=None, make=None, dpkg=None, apt_get=APT_WITHOUT_NETWORK, micropython=GOOD)
    stages = []
    vm = ensure_vm(stages.append, cache_folder=tmp_path / "cache")
    assert vm.source == "found on PATH"
    assert "Temporary failure resolving" in vm.note
    assert any("asking the package archive" in line for line in stages)
    assert left_in(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "cannot be unpacked"),
        (
            {"ports/unix/Makefile": "all:\n\t@echo 'main.c:1: error: no such thing'; exit 1\n"},
            "building MicroPython failed: main.c:1: error: no such thing",
        ),
        ({"ports/unix/Makefile": "all:\n"}, "building MicroPython failed"),
    ],
)
def test_a_build_that_fails_leaves_nothing(path, tmp_path, files, message):
    path(
        **dict.fromkeys(("gcc", "make", "as", "ld", "sh", "echo")),
        apt_get=APT_WITHOUT_NETWORK,
        dpkg=None,
    )
    folder = tmp_path / "cache"
    source_package(folder, files or {})
    if files is None:
        (folder / "source" / "micropython_9.orig.tar.xz").write_bytes(b"half a file")
    for name in ("variants", "x"):
        assert not (folder / name).exists()
    with pytest.raises(VmError, match=message):
        ensure_vm(cache_folder=folder)
    assert left_in(folder) == []


def test_a_cache_that_cannot_be_written(path, tmp_path):
    path(gcc=None, make=None)
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(VmError, match="is not writable"):
        ensure_vm(cache_folder=tmp_path / "cache")


def test_one_builder_at_a_time(tmp_path):
    order = []

    def second():
        with cache.locked(tmp_path):
            order.append("second")

    with cache.locked(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_what_an_interrupted_build_left_is_swept(tmp_path):
    (tmp_path / "tmp-abc" / "deep").mkdir(parents=True)
    with cache.locked(tmp_path):
        assert left_in(tmp_path) == []


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    building = cache.under_construction(tmp_path / "vm")
    folder = building.__enter__()
    (folder / "half").touch()
    assert not building.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert os.listdir(tmp_path) == []
    with cache.under_construction(tmp_path / "vm") as folder:
        (folder / "whole").touch()
    assert os.listdir(tmp_path / "vm") == ["whole"]


def test_the_hash_is_of_contents(tmp_path):
    file = tmp_path / "a.c"
    file.write_text("one")
    first = cache.content_hash([file], "gcc 12")
    assert cache.content_hash([file], "gcc 12") == first
    assert cache.content_hash([file], "gcc 13") != first
    file.write_text("two")
    assert cache.content_hash([file], "gcc 12") != first


KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@pytest.mark.parametrize(
    ("file", "text", "entries"),
    [
        (
            "sources.list.d/debian.sources",
            "Types: deb\n# a comment\nURIs: http://deb.example/debian\nSuites: bookworm"
            f" bookworm-updates\nComponents: main\nSigned-By: {KEYRING}\n\nTypes: deb\n"
            "URIs: http://deb.example/debian-security\nSuites: bookworm-security\n",
            [{"URIs": "http://deb.example/debian", "Signed-By": KEYRING}],
        ),
        (
            "sources.list",
            f"# old style\ndeb [arch=amd64 signed-by={KEYRING}] https://mirror.example/d"
            " bookworm main\n"
            "deb http://other.example/x stable main\n",
            [{"URIs": "https://mirror.example/d", "Signed-By": KEYRING}],
        ),
        ("sources.list.d/extra.list", "deb https://deb.example/node nodistro main\n", []),
    ],
)
def test_the_machines_own_archive_is_found(tmp_path, file, text, entries):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / file).write_text(text)
    assert own_entries(tmp_path, "bookworm") == entries


@pytest.mark.parametrize(
    ("bits", "enforced", "says"),
    [
        (32, True, "carry over to an ESP32"),
        (64, True, "byte figures do not carry over"),
        (32, False, "not enforced"),
    ],
)
def test_memory_figures_are_put_into_words(bits, enforced, says):
    vm = Vm(("/x/micropython",), "1.26.1", bits, "found", True, enforced, "a note")
    text = "\n".join(describe(vm))
    assert says in text
    assert f"{bits}-bit" in text
    assert "a note" in text


@pytest.mark.vm
def test_the_vm_in_use(vm):
    assert tuple(int(part) for part in vm.version.split(".")[:2]) >= (1, 24)
    assert vm.heap_enforced
