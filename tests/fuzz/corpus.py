"""The corpus: `corpus/<folder>/<name>.hex`, hexadecimal text with comments, so that a difference can be read."""

from __future__ import annotations

import textwrap
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
_WIDTH = 96


def load(folder: str) -> dict[str, bytes]:
    """The inputs in a folder by name."""
    return {path.stem: read(path) for path in sorted((FOLDER / folder).glob("*.hex"))}


def read(path: Path) -> bytes:
    """One input; what follows a # is a comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return bytes.fromhex(" ".join(line.partition("#")[0] for line in lines))


def save(folder: str, name: str, data: bytes, comment: str) -> Path:
    """Write one input under a comment of one line."""
    path = FOLDER / folder / f"{name}.hex"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(textwrap.wrap(data.hex(), _WIDTH))
    path.write_text(f"# {' '.join(comment.split())}\n{text}\n", encoding="utf-8")
    return path
