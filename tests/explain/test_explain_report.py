"""Words, pictures and the report over a store or a file of records."""

import json

import pytest

from explain import report
from explain.errors import RecordError
from explain.text import base, contributions, sentence
from host.bridge.store import Incoming, Store

PHI = {
    "of": "fc_off",
    "unit": "mK",
    "names": ["power_mw", "trend_mk", "fan_rpm"],
    "num": [1200, -4800, 24],
    "den": 120,
    "base_num": 2400,
    "lsb": 50.0,
    "err": 0,
    "bid": "cooling@1#b",
}


def test_shares_come_largest_first_in_kelvin():
    shares = contributions({"phi": PHI})
    assert [(s.words, round(s.value, 3), s.unit) for s in shares] == [
        ("trend", -2.0, "K"),
        ("power", 0.5, "K"),
        ("fan speed", 0.01, "K"),
    ]
    assert base({"phi": PHI}) == pytest.approx(1.0)


def test_the_sentence_names_what_counts():
    assert sentence({"phi": PHI}) == (
        "-0.5 K within a minute with the fan off: +1.0 K usually, trend -2.0 K, power +0.5 K"
    )
    score = {**PHI, "of": "score", "unit": "score", "lsb": 1}
    assert sentence({"phi": score}).startswith("Score -10: 20 in usual operation, trend -40.0")


DAMAGED = [None, {}, {**PHI, "den": 0}, {**PHI, "num": [1]}, {**PHI, "lsb": "x"}, "text"]


@pytest.mark.parametrize("phi", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_block_is_a_record_error(phi):
    with pytest.raises(RecordError):
        contributions({"t": "dec", "boot": 1, "seq": 2, "phi": phi})


def need_matplotlib():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")


def test_a_report_from_lines_shows_and_checks(tmp_path, bundles, decision, alarm, capsys):
    need_matplotlib()
    lines = [decision(seq=1), {"t": "tel"}, {"t": "dec", "phi": None}, alarm]
    path = tmp_path / "records.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    arguments = [str(path), "--out", str(tmp_path / "out")]
    for bundle in bundles.values():
        arguments += ["--bundle", str(bundle.path)]
    assert report.main(arguments) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("Recomputed: equal.") == 2
    pictures = sorted((tmp_path / "out").glob("*.png"))
    assert [p.name for p in pictures] == ["board-7-1.png", "board-7-42.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in pictures)
    assert "2 explained records" in capsys.readouterr().out


def test_a_report_from_the_bridges_store(tmp_path, bundles, decision):
    need_matplotlib()
    store = Store(tmp_path / "store.db")
    wrong = decision(seq=2)
    wrong["phi"]["num"][0] += 1
    wrong["why"] = "<script>"
    store.add([Incoming("esp32-1", 7, r["seq"], r, 1.0) for r in (decision(seq=1), wrong)])
    store.close()
    arguments = [str(tmp_path / "store.db"), "--out", str(tmp_path / "out")]
    assert report.main([*arguments, "--bundle", str(bundles["cooling"].path)]) == 1
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Recomputed: equal." in page
    assert "WRONG: phi.num" in page
    assert "<script>" not in page
    assert (tmp_path / "out" / "esp32-1-7-1.png").exists()


BAD = {"missing": None, "not json": b"{nope\n", "not a store": b"SQLite format 3\0" + b"x" * 99}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_one_line(tmp_path, capsys, name):
    path = tmp_path / "file"
    if BAD[name] is not None:
        path.write_bytes(BAD[name])
    assert report.main([str(path), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err.strip()
    assert str(path) in said
    assert "\n" not in said
