"""Check bundles or bare .tflite files: `python -m training.check PATH...`; exit code 1 if bad."""

import sys
from pathlib import Path

from training.bundle import load_bundle, load_model
from training.errors import BundleError


def check(path: Path) -> str:
    """One line about what is there. Raises BundleError."""
    if path.suffix == ".tflite":
        model = load_model(path)
        shapes = f"{model.input_shape[0]} to {model.output_shape[0]}"
        return (
            f"{path}: {model.len} bytes, {shapes}, arena {model.ram} bytes, {', '.join(model.ops)}"
        )
    bundle = load_bundle(path)
    manifest = bundle.manifest
    return (
        f"{path}: {bundle.role} model {bundle.id}, {manifest['bytes']} bytes, arena "
        f"{manifest['arena_bytes']} bytes, {manifest.get('macs', '?')} multiply-accumulates, "
        f"{len(manifest['golden'])} golden rows computed as TFLite-Micro does"
    )


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0].startswith("-"):
        print("usage: python -m training.check BUNDLE_OR_TFLITE...", file=sys.stderr)
        return 2
    bad = 0
    for name in given:
        try:
            print(check(Path(name)))
        except BundleError as error:
            print(error, file=sys.stderr)
            bad = 1
    return bad


if __name__ == "__main__":
    raise SystemExit(main())
