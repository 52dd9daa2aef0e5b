"""Sum up the logs of unittest runs: one line for each log, then 'N passed, N failed, N skipped'.

The numbers are those of unittest's own closing lines ("Ran 12 tests in 3.4s", "FAILED (failures=1)").
Unittest counts a failed subtest as a failure, and a skipped or broken class as one skip or error, without
counting tests run for them; so where the two disagree, fewer tests are called passed here than did pass,
never more. A log without closing lines is of a run that crashed, hung or never began: one failure.
"""

import re
import sys
from pathlib import Path

RAN = re.compile(r"^Ran (\d+) tests? in ([\d.]+s)", re.MULTILINE)
VERDICT = re.compile(r"^(OK|FAILED|NO TESTS RAN)(?: \((.+)\))?$", re.MULTILINE)


def count(log: str) -> tuple[int, int, int, str]:
    """Return passed, failed, skipped and the closing lines in words, of the last unittest run in `log`."""
    ran = list(RAN.finditer(log))
    verdict = VERDICT.search(log, ran[-1].end()) if ran else None
    if verdict is None:
        return 0, 1, 0, "ended without a result"
    details = dict(part.split("=") for part in (verdict[2] or "").split(", ") if part)
    number = {name: int(value) for name, value in details.items()}
    failed = sum(number.get(name, 0) for name in ("failures", "errors", "unexpected successes"))
    skipped = number.get("skipped", 0)
    if verdict[1] == "NO TESTS RAN" or int(ran[-1][1]) == 0:
        failed += 1
    # A test that fails as it is expected to shows a known defect: no failure, but not passed either.
    passed = max(0, int(ran[-1][1]) - failed - skipped - number.get("expected failures", 0))
    return passed, failed, skipped, f"ran {ran[-1][1]} in {ran[-1][2]}: {verdict[0]}"


def main(paths: list[str]) -> int:
    """Print the summary of the logs at `paths`; return the exit status."""
    passed = failed = skipped = 0
    for path in map(Path, paths):
        counts = count(path.read_text(encoding="utf-8", errors="replace"))
        print(f"Python {path.stem} {counts[3]}")
        passed, failed, skipped = passed + counts[0], failed + counts[1], skipped + counts[2]
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
