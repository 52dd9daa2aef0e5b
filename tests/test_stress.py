"""Some rounds of `tests.stress`: any method, from any hook and any thread, at any time."""

from __future__ import annotations

import unittest

from .stress import rounds

ROUNDS = 16
"""Of a third of a second each, and what it takes to look at what is left."""
FIRST_SEED = 20261121


class Stress(unittest.TestCase):
    """Nothing hangs, every end is told once, and nothing stays."""

    def test_some_rounds(self) -> None:
        with rounds() as each:
            for seed in range(FIRST_SEED, FIRST_SEED + ROUNDS):
                with self.subTest(f"python -m tests.stress --rounds 1 --seed {seed}"):
                    self.assertEqual(each.run(seed), [])


if __name__ == "__main__":
    unittest.main()
