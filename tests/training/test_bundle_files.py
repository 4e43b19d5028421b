"""Bundles: written whole, read whole, and every problem of a bad one named at once."""

import copy
import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cognition import bundle as board
from training import check
from training.bundle import load_bundle, load_model, next_version, write_bundle
from training.errors import BundleError
from training.manifest import problems

ROLES = ("cooling", "anomaly")


@pytest.mark.parametrize("role", ROLES)
def test_shipped_bundles_pass_here_and_on_the_board(shipped, role):
    bundle = shipped[role]
    assert bundle.role == role
    assert bundle.report is not None
    assert board.load(role, str(bundle.path.parent)).name == bundle.id


@pytest.mark.parametrize("role", ROLES)
def test_a_zip_with_or_without_its_folder_is_the_same_bundle(shipped, role, tmp_path):
    for inner in ("", f"{role}/"):
        path = tmp_path / "bundle.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("model.tflite", "manifest.json"):
                archive.write(shipped[role].path / name, inner + name)
        assert load_bundle(path).manifest == shipped[role].manifest


def test_written_bundles_can_be_read_and_old_versions_stay(shipped, tmp_path):
    bundle = shipped["cooling"]
    manifest = copy.deepcopy(bundle.manifest)
    for version in (1, 2):
        assert next_version(tmp_path, "cooling") == version
        manifest["version"] = version
        write_bundle(tmp_path, manifest, bundle.model_bytes, {"a": 1}, {"report/x.md": b"x"})
    assert load_bundle(tmp_path / "cooling").id == "cooling@2"
    assert load_bundle(tmp_path / "cooling@1").id == "cooling@1"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cooling", "cooling@1"]


def test_nothing_is_left_of_a_bundle_that_may_not_be_written(shipped, tmp_path):
    bundle = shipped["cooling"]
    for change in ({"threshold": 1, "trained_on": ""}, {"extra": "x" * 7000}):
        with pytest.raises(BundleError):
            write_bundle(tmp_path, {**bundle.manifest, **change}, bundle.model_bytes, {})
    assert list(tmp_path.iterdir()) == []


CHANGES = {
    "no format": (lambda m: m.pop("format"), "format"),
    "other role": (lambda m: m.update(role="pump"), "role"),
    "no features": (lambda m: m.update(features=[]), "features"),
    "unknown feature": (lambda m: m["features"][0].update(name="moon_mc"), "moon_mc"),
    "feature twice": (lambda m: m["features"][0].update(name=m["features"][1]["name"]), "twice"),
    "mul too large": (lambda m: m["features"][1].update(mul=4096), "mul"),
    "float offset": (lambda m: m["features"][1].update(offset=0.5), "offset"),
    "no baseline": (lambda m: m.pop("baseline"), "baseline"),
    "wide baseline": (lambda m: m["baseline"][0].append(1), "baseline"),
    "five baselines": (lambda m: m.update(baseline=m["baseline"] * 3), "baseline"),
    "golden not int8": (lambda m: m["golden"][0]["in"].__setitem__(0, 300), "golden"),
    "golden too short": (lambda m: m["golden"][0]["in"].pop(), "golden[0]"),
    "other golden": (
        lambda m: m["golden"][0].update(out=[1] * len(m["golden"][0]["out"])),
        "engine",
    ),
    "other sha": (lambda m: m.update(sha256="0" * 64), "sha256"),
    "other size": (lambda m: m.update(bytes=17), "bytes"),
    "other arena": (lambda m: m.update(arena_bytes=17), "arena"),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", CHANGES)
def test_each_damage_is_named(shipped, role, name):
    change, word = CHANGES[name]
    manifest = copy.deepcopy(shipped[role].manifest)
    change(manifest)
    found = problems(manifest, shipped[role].model_bytes)
    assert found
    assert word in " ".join(found)


@pytest.mark.parametrize(
    ("role", "member"),
    [("cooling", m) for m in ("actions", "horizon_s", "output")]
    + [("anomaly", m) for m in ("threshold", "hold", "diff")],
)
def test_members_of_a_role_are_needed(shipped, role, member):
    manifest = {k: v for k, v in shipped[role].manifest.items() if k != member}
    assert any(member in text for text in problems(manifest, shipped[role].model_bytes))


def test_all_problems_come_at_once(shipped):
    manifest = {**shipped["cooling"].manifest, "role": "pump", "version": 0, "golden": []}
    assert len(problems(manifest, shipped["cooling"].model_bytes)) >= 3


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=150)
@given(st.data())
def test_any_value_in_any_member_is_accepted_or_named(shipped, data):
    bundle = shipped[data.draw(st.sampled_from(ROLES))]
    manifest = copy.deepcopy(bundle.manifest)
    manifest[data.draw(st.sampled_from(sorted(manifest)))] = data.draw(values)
    assert all(isinstance(text, str) for text in problems(manifest, bundle.model_bytes))


def damage(shipped, tmp_path):
    """Paths with something wrong at each, and a word the message must have."""
    bundle = shipped["cooling"]
    whole = bundle.model_bytes
    cases = {}

    def folder(name, model=whole, manifest=None):
        path = tmp_path / name
        path.mkdir()
        (path / "model.tflite").write_bytes(model)
        text = json.dumps(bundle.manifest) if manifest is None else manifest
        (path / "manifest.json").write_text(text)
        return path

    cases["truncated model in a bundle"] = folder("a", whole[:900]), "sha256"
    cases["manifest not json"] = folder("b", manifest="{"), "JSON"
    cases["manifest a list"] = folder("c", manifest="[]"), "object"
    cases["manifest huge"] = folder("d", manifest=" " * 9000), "larger"
    cases["manifest nested"] = folder("e", manifest="[" * 5000), "JSON"
    for name, content, word in (
        ("cut.tflite", whole[: len(whole) // 2], "not a model"),
        ("text.tflite", b"this is no model", "not a model"),
        ("empty.tflite", b"", "not a model"),
        ("no.zip", b"PK but not a zip", "zip"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        cases[name] = path, word
    cases["missing"] = tmp_path / "nothing", "model.tflite"
    empty = tmp_path / "empty.zip"
    with zipfile.ZipFile(empty, "w"):
        pass
    cases["empty zip"] = empty, "holds 0"
    return cases


def test_the_check_says_one_line_and_fails(shipped, tmp_path, capsys):
    for name, (path, word) in damage(shipped, tmp_path).items():
        assert check.main([str(path)]) == 1, name
        said = capsys.readouterr().err.strip()
        assert word in said, (name, said)
        assert str(path) in said, (name, said)
        assert "\n" not in said, (name, said)


def test_the_check_passes_what_is_sound(shipped, capsys):
    bundle = shipped["cooling"]
    assert check.main([str(bundle.path), str(bundle.path / "model.tflite")]) == 0
    assert "cooling@" in capsys.readouterr().out
    assert check.main([]) == 2


@settings(max_examples=60)
@given(cut=st.integers(0, 3300), flip=st.integers(0, 255), at=st.integers(0, 3299))
def test_a_damaged_model_is_a_bundle_error_or_runs(shipped, tmp_path, cut, flip, at):
    data = bytearray(shipped["cooling"].model_bytes)
    data[at % len(data)] ^= flip
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(data[: len(data) - cut]))
    try:
        load_model(path)
    except BundleError:
        pass
