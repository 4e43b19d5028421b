"""What a manifest must say (docs/bundle.md), checked in one pass that names every problem."""

import hashlib
from collections.abc import Callable
from typing import Any

from agent.cognition.engine import Model, ModelError

FORMAT = 1
ROLES = ("cooling", "anomaly")
KNOWN_FEATURES = (
    "case_mc",
    "ambient_mc",
    "rise_mk",
    "power_mw",
    "power_avg_mw",
    "trend_mk",
    "fan_rpm",
    "fan_pm",
    "residual_mk",
)
MAX_MUL = 4095
MAX_SHIFT = 20
MAX_BASELINE_ROWS = 4

Json = dict[str, Any]


def problems(manifest: Any, model_bytes: bytes) -> list[str]:
    """Everything wrong with a manifest and the model it describes; empty when all is well."""
    if not isinstance(manifest, dict):
        return ["is not a JSON object"]
    found = [text for check in _CHECKS for text in check(manifest)]
    if found:
        return found
    if manifest["bytes"] != len(model_bytes):
        found.append(f"bytes is {manifest['bytes']}, model.tflite has {len(model_bytes)}")
    if manifest["sha256"] != hashlib.sha256(model_bytes).hexdigest():
        found.append("sha256 is not that of model.tflite")
    try:
        model = Model(model_bytes, keep_inputs=True)
    except ModelError as error:
        return [*found, f"model.tflite: {error}"]
    return found + _against_model(manifest, model)


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _row(value: Any, length: int | None = None) -> bool:
    return (
        isinstance(value, list)
        and all(_is_int(item, -128, 127) for item in value)
        and (length is None or len(value) == length)
    )


def _head(manifest: Json) -> list[str]:
    found = []
    if manifest.get("format") != FORMAT:
        found.append(f"format is {manifest.get('format')!r}, {FORMAT} is expected")
    if manifest.get("role") not in ROLES:
        found.append(f"role is {manifest.get('role')!r}, one of {', '.join(ROLES)} is expected")
    for name in ("id", "sha256", "created", "trained_on"):
        value = manifest.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= 400:
            found.append(f"{name} is missing or not a short text")
    for name, high in (("version", 1 << 30), ("bytes", 1 << 20), ("arena_bytes", 1 << 20)):
        if not _is_int(manifest.get(name), 1, high):
            found.append(f"{name} is {manifest.get(name)!r}, an integer of 1 to {high} is expected")
    return found


def _features(manifest: Json) -> list[str]:
    features = manifest.get("features")
    if not isinstance(features, list) or not 1 <= len(features) <= 12:
        return ["features is not a list of 1 to 12 entries"]
    found = []
    names = []
    for number, feature in enumerate(features):
        if not isinstance(feature, dict):
            found.append(f"features[{number}] is not an object")
            continue
        name = feature.get("name")
        names.append(name)
        if name not in KNOWN_FEATURES:
            found.append(f"features[{number}] is {name!r}, one of {', '.join(KNOWN_FEATURES)}")
        bounds = (("offset", -262143, 262143), ("mul", -MAX_MUL, MAX_MUL), ("shift", 1, MAX_SHIFT))
        for key, low, high in bounds:
            if not _is_int(feature.get(key), low, high):
                found.append(f"features[{number}].{key} is not an integer of {low} to {high}")
    if len({str(name) for name in names}) < len(names):
        found.append("features names one feature twice")
    return found


def _cooling(manifest: Json) -> list[str]:
    if manifest.get("role") != "cooling":
        return []
    found = []
    actions = manifest.get("actions")
    if not isinstance(actions, list) or len(actions) < 2:
        found.append("actions is not a list of at least two")
    else:
        for number, action in enumerate(actions):
            good = isinstance(action, dict) and isinstance(action.get("name"), str)
            good = good and _is_int(action.get("fan"), 0, 1) and _is_int(action.get("q"), -128, 127)
            if not good or not _is_int(action.get("cost"), 0, 1000):
                found.append(f"actions[{number}] lacks name, fan (0/1), cost or q (int8)")
    if not _is_int(manifest.get("horizon_s"), 1, 600):
        found.append("horizon_s is not an integer of 1 to 600")
    output = manifest.get("output")
    if not isinstance(output, dict) or not (
        _is_int(output.get("scale_num"), 1, (1 << 21) - 1)
        and _is_int(output.get("scale_shift"), 1, 24)
    ):
        found.append("output lacks scale_num (1 to 2^21) or scale_shift (1 to 24)")
    return found


def _anomaly(manifest: Json) -> list[str]:
    if manifest.get("role") != "anomaly":
        return []
    found = []
    for name, high in (("threshold", 1 << 30), ("hold", 600)):
        if not _is_int(manifest.get(name), 1, high):
            found.append(f"{name} is not an integer of 1 to {high}")
    diff = manifest.get("diff")
    good = isinstance(diff, dict) and all(
        _is_int(diff.get(key), 1, (1 << 21) - 1) for key in ("in_mul", "out_mul")
    )
    if not good or not _is_int(manifest["diff"].get("shift"), 1, 20):
        found.append("diff lacks in_mul, out_mul or shift")
    return found


def _rows(manifest: Json) -> list[str]:
    found = []
    baseline = manifest.get("baseline")
    if not isinstance(baseline, list) or not 1 <= len(baseline) <= MAX_BASELINE_ROWS:
        found.append(f"baseline is not a list of 1 to {MAX_BASELINE_ROWS} rows")
    elif isinstance(manifest.get("features"), list):
        width = len(manifest["features"])
        if not all(_row(row, width) for row in baseline):
            found.append(f"baseline has a row that is not {width} int8 values")
    golden = manifest.get("golden")
    if not isinstance(golden, list) or not golden:
        found.append("golden has no rows")
    elif not all(isinstance(g, dict) and _row(g.get("in")) and _row(g.get("out")) for g in golden):
        found.append("golden has a row without int8 lists `in` and `out`")
    return found


_CHECKS: tuple[Callable[[Json], list[str]], ...] = (_head, _features, _cooling, _anomaly, _rows)


def _against_model(manifest: Json, model: Model) -> list[str]:
    found = []
    width = len(manifest["features"]) + (1 if manifest["role"] == "cooling" else 0)
    outputs = 1 if manifest["role"] == "cooling" else width
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return [f"model.tflite has {len(model.inputs)} inputs and {len(model.outputs)} outputs"]
    if (model.input_dtype[0], model.output_dtype[0]) != ("b", "b"):
        return ["model.tflite is not int8 at its input and output"]
    sizes = len(model.inputs[0]), len(model.outputs[0])
    if sizes != (width, outputs):
        return [f"model.tflite maps {sizes[0]} to {sizes[1]}, the manifest {width} to {outputs}"]
    if manifest["arena_bytes"] != model.ram:
        found.append(f"arena_bytes is {manifest['arena_bytes']}, the engine needs {model.ram}")
    for number, golden in enumerate(manifest["golden"]):
        if len(golden["in"]) != width or len(golden["out"]) != outputs:
            found.append(f"golden[{number}] does not fit the model")
            continue
        for index, value in enumerate(golden["in"]):
            model.inputs[0][index] = value
        model.invoke()
        if list(model.outputs[0]) != golden["out"]:
            found.append(f"golden[{number}]: the engine computes {list(model.outputs[0])}")
    return found
