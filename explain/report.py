"""Pictures and checks of decisions: `python -m explain.report STORE_OR_JSONL --out DIR`.

Reads the bridge's store (SQLite, opened read-only) or a file with one record per line. With
`--bundle DIR_OR_ZIP` (once per role) every explanation is recomputed and compared.
"""

import argparse
import html
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from explain.errors import ExplainError
from explain.picture import waterfall
from explain.shapley import check, name_of
from explain.text import sentence
from training.bundle import Bundle, load_bundle
from training.errors import BundleError

Json = dict[str, Any]
MAX_LINE = 65536


def read_records(path: Path) -> Iterator[Json]:
    """Decision and alarm records, newest last; `dev` is added where the store knows it.

    Raises ExplainError naming the file, and the line where one cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise ExplainError(
            f"{path}: {error.strerror}; expected the bridge's store or a file of records"
        ) from error
    reader = _from_store if head.startswith(b"SQLite format 3") else _from_lines
    return reader(path)


def _from_store(path: Path) -> Iterator[Json]:
    try:
        store = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            rows = store.execute(
                "SELECT device, body FROM records WHERE kind IN ('dec', 'alarm') ORDER BY id"
            )
            for device, body in rows:
                yield {**json.loads(body), "dev": device}
        finally:
            store.close()
    except (sqlite3.Error, ValueError) as error:
        raise ExplainError(f"{path}: not a store of the bridge ({error})") from error


def _from_lines(path: Path) -> Iterator[Json]:
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ExplainError(
                    f"{path}: line {number} is not a JSON record ({error})"
                ) from error
            if isinstance(record, dict) and record.get("t") in ("dec", "alarm"):
                yield record


def write_report(
    records: Iterator[Json], out_dir: Path, bundles: list[Bundle], most: int
) -> tuple[int, int]:
    """Pictures of the last `most` explained records and index.html; returns (pictures, wrong)."""
    explained = [record for record in records if isinstance(record.get("phi"), dict)][-most:]
    out_dir.mkdir(parents=True, exist_ok=True)
    parts, wrong = [], 0
    for record in explained:
        verdict = _verdict(record, bundles)
        wrong += verdict.startswith("WRONG")
        name = _file_name(record)
        try:
            picture = waterfall(record, str(record.get("why") or name_of(record))[:160])
            words = sentence(record)
        except ExplainError as error:
            parts.append(f"<p>{html.escape(str(error))}</p>")
            continue
        (out_dir / name).write_bytes(picture)
        parts.append(
            f"<h2>{html.escape(str(record.get('dev', '')))} {html.escape(name_of(record))}</h2>"
            f"<p>{html.escape(str(record.get('why', '')))}</p><p>{html.escape(words)}</p>"
            f"<p>{html.escape(verdict)}</p><img src='{name}' alt='{html.escape(words)}'>"
        )
    page = "<!doctype html><meta charset=utf-8><title>Fanwise: decisions explained</title>"
    (out_dir / "index.html").write_text(page + "\n".join(parts) + "\n")
    return len(explained), wrong


def _verdict(record: Json, bundles: list[Bundle]) -> str:
    named = str(record["phi"].get("bid"))
    bundle = next((b for b in bundles if b.id + "#b" == named), None)
    if bundle is None:
        return f"Not recomputed: no bundle {named[:40].removesuffix('#b')} was given."
    try:
        result = check(record, bundle)
    except ExplainError as error:
        return f"Not recomputed: {error}."
    return "Recomputed: equal." if result.ok else f"WRONG: {result}."


def _file_name(record: Json) -> str:
    device = "".join(c for c in str(record.get("dev", "board")) if c.isalnum() or c in "-_")[:32]
    numbers = "-".join(
        str(record[key]) if isinstance(record.get(key), int) else "x" for key in ("boot", "seq")
    )
    return f"{device}-{numbers}.png"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="explain.report", description=__doc__)
    parser.add_argument("records", type=Path, help="the bridge's store, or a file of JSON lines")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for index.html and pictures"
    )
    parser.add_argument("--bundle", type=Path, action="append", default=[])
    parser.add_argument("--most", type=int, default=20, help="how many of the newest to show")
    options = parser.parse_args(arguments)
    try:
        bundles = [load_bundle(path) for path in options.bundle]
        records = read_records(options.records)
        shown, wrong = write_report(records, options.out, bundles, max(1, options.most))
    except (ExplainError, BundleError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{shown} explained records in {options.out / 'index.html'}, {wrong} of them wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
