"""What others wrote, as it may be printed: on one line, escaped, of a bounded length. Knows nothing of the library."""

from __future__ import annotations

_LONGEST = 200


def shown(text: str) -> str:
    """`text` of a peer or a file, for an error or a log line: control characters cannot leave their line, and what is
    not ASCII cannot look like something else."""
    kept = ascii(text[:_LONGEST])[1:-1]
    return kept[:_LONGEST] + "..." if len(kept) > _LONGEST or len(text) > _LONGEST else kept


def reason(error: BaseException) -> str:
    """The kind and the text of what another library raised; of one that was raised from another, of the first."""
    while error.__cause__ is not None:
        error = error.__cause__
    kind, text = type(error).__name__, shown(str(error))
    if kind == "error":  # of struct or zlib
        kind = f"{type(error).__module__}.{kind}"
    return f"{kind}: {text}" if text else kind
