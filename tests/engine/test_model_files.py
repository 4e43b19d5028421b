"""What check-model takes for a model, and what it says of everything else."""

import io
import json
import os
import zipfile

import pytest

from host import check_model as command
from host import model_files
from tests.engine.conftest import ROOT


def packed(members, start=b""):
    made = io.BytesIO(start)
    made.seek(len(start))
    with zipfile.ZipFile(made, "a") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


BUNDLE = ROOT / "training/bundles/cooling"
MEMBERS = {name: (BUNDLE / name).read_bytes() for name in ("model.tflite", "manifest.json")}
OTHER = {**MEMBERS, "model.tflite": MEMBERS["model.tflite"] + bytes(4)}
NO_MANIFEST = {"model.tflite": MEMBERS["model.tflite"]}
BAD_MANIFEST = {**MEMBERS, "manifest.json": b"[" * 100_000}
FOLDERS = {
    "a bundle": (MEMBERS, 0, "model.tflite: runs"),
    "none": ({}, 2, "is a folder without model.tflite; a bundle is"),
    "models": ({"a.tflite": b"", "b.tflite": b""}, 2, "it has a.tflite, b.tflite: name one"),
    "SavedModel": ({"saved_model.pb": b""}, 2, "is a SavedModel: convert it"),
    "no manifest": (NO_MANIFEST, 1, "the bundle has no manifest.json"),
    "bad manifest": (BAD_MANIFEST, 1, "manifest.json is not usable"),
    "another model": (OTHER, 1, "manifest.json is of another model"),
}
FILES = {
    "zip of a bundle": (packed(MEMBERS), 0, "model.tflite: runs"),
    "zip of its folder": (packed({f"x/{k}": v for k, v in MEMBERS.items()}), 0, "runs"),
    "zip of two": (packed({**MEMBERS, "x/model.tflite": b""}), 2, "or with several"),
    "another zip": (packed({"a": b""}), 2, "is a zip without model.tflite"),
    "keras": (packed({"config.json": b"{}"}), 2, "is a .keras file: convert it"),
    "cut zip": (packed(MEMBERS)[:900], 1, "it is a zip archive"),
    "damaged zip": (packed(MEMBERS).replace(b"TFL3", b"TFL4"), 2, "is a zip that cannot be read"),
    "with metadata": (packed({"labels.txt": b"a"}, MEMBERS["model.tflite"]), 0, "runs"),
    "empty": (b"", 1, "not a whole .tflite file: it is empty"),
    "h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), 1, "it is a Keras .h5 file: convert it"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", 1, "run git lfs pull"),
    "page": (b"<!DOCTYPE html>", 1, "it is a web page"),
    "manifest": (MEMBERS["manifest.json"], 1, "it is JSON: name the .tflite file"),
    "cut": (MEMBERS["model.tflite"][:1500], 1, "copy or convert it again"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_folders(case, capsys, tmp_path):
    members, code, words = FOLDERS[case]
    for name, content in members.items():
        (tmp_path / name).write_bytes(content)
    assert command.main([str(tmp_path)]) == code
    assert words in "".join(capsys.readouterr())


@pytest.mark.parametrize("case", FILES)
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["", "json"])
def test_files(case, options, capsys, tmp_path):
    content, code, words = FILES[case]
    path = tmp_path / "model"
    path.write_bytes(content)
    assert command.main([str(path), *options]) == code
    out, err = capsys.readouterr()
    if not options:
        assert words in out + err
        return
    said = json.loads(out)
    assert said["event"] == ("error" if code == 2 else "done")
    told = said["message"] if code == 2 else " ".join(said["problems"])
    assert words in told or code == 0


def test_what_is_no_file(capsys, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo")
    large = tmp_path / "large"
    large.write_bytes(bytes(100))
    monkeypatch.setattr(model_files, "MAX_BYTES", 99)
    names = ("/dev/zero", tmp_path / "fifo", tmp_path / "missing", large, large / "x", "a\0b")
    words = ("is no file", "is no file", "No such file", "has more than", "Not a dir", "null byte")
    for name, expected in zip(names, words, strict=True):
        assert command.main([str(name)]) == 2
        assert expected in capsys.readouterr().err
