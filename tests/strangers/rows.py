"""The CSV file that rows are appended to."""

import csv
from dataclasses import asdict, fields
from pathlib import Path

from trial import Row

COLUMNS = [field.name for field in fields(Row)]
NUMBERS = {field.name for field in fields(Row) if field.type is float}


def append(path: Path, row: Row) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if is_new:
            writer.writeheader()
        short = {k: f"{v:.3g}" if k in NUMBERS else v for k, v in asdict(row).items()}
        writer.writerow({**short, "sentence": " ".join(row.sentence.split())[:400]})


def read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(**{k: float(v) if k in NUMBERS else v for k, v in line.items()})
            for line in csv.DictReader(file)
        ]
