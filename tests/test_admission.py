"""`admission` and `clients`: how many may come, as whom they count, and that nothing is kept of those who left."""

from __future__ import annotations

import threading
import unittest

from ldicomnet import LDicomUsageError, Limits
from ldicomnet.admission import Admission
from ldicomnet.clients import Clients

from .support import SECONDS


class Associations(unittest.TestCase):
    """Who may have one more."""

    def admission(self, **limits: int | None) -> Admission:
        """With these limits."""
        made = Admission()
        made.open(Limits(**limits))  # type: ignore[arg-type]
        return made

    def test_each_limit(self) -> None:
        rows: tuple[tuple[dict[str, int | None], str], ...] = (
            ({"associations": 2}, "2 associations stand, and 2 may"),
            ({"associations_of_host": 2}, "2 associations of host 10.0.0.1 stand, and 2 may"),
            ({"associations_of_title": 2}, "2 associations of AE title 'A' stand, and 2 may"),
        )
        for limits, why in rows:
            with self.subTest(limits=limits):
                admission = self.admission(**limits)
                for expected in ("", "", why, why):
                    self.assertEqual(admission.enter("10.0.0.1", "A"), expected)
                self.assertEqual(admission.count, 2)
                admission.leave("10.0.0.1", "A")
                self.assertEqual(admission.enter("10.0.0.1", "A"), "")

    def test_others_do_not_count(self) -> None:
        admission = self.admission(associations_of_host=1, associations_of_title=1)
        self.assertEqual(admission.enter("10.0.0.1", "A"), "")
        self.assertEqual(admission.enter("10.0.0.2", "B"), "")
        self.assertIn("host", admission.enter("10.0.0.1", "C"))
        self.assertIn("title", admission.enter("10.0.0.3", "A"))

    def test_without_limit(self) -> None:
        admission = self.admission(associations=None)
        self.assertEqual({admission.enter("10.0.0.1", "A") for _ in range(5000)}, {""})

    def test_none_at_all(self) -> None:
        self.assertEqual(self.admission(associations=0).enter("10.0.0.1", "A"), "0 associations stand, and 0 may")

    def test_what_a_peer_calls_itself_is_escaped(self) -> None:
        admission = self.admission(associations_of_title=0)
        self.assertEqual(
            admission.enter("10.0.0.1", "A\n\x1b\xe9"), "0 associations of AE title 'A\\n\\x1b\\xe9' stand, and 0 may"
        )

    def test_closed_and_open_again(self) -> None:
        admission = self.admission()
        admission.enter("10.0.0.1", "A")
        admission.close()
        self.assertIn("no more", admission.enter("10.0.0.1", "A"))
        admission.leave("10.0.0.1", "A")
        admission.open(Limits())
        self.assertEqual(admission.enter("10.0.0.1", "A"), "")

    def test_nothing_is_kept_of_those_who_left_or_were_refused(self) -> None:
        admission = self.admission(associations=1)
        for number in range(1000):
            host, title = f"10.0.{number >> 8}.{number & 255}", f"T{number}"
            self.assertEqual(admission.enter(host, title), "")
            self.assertNotEqual(admission.enter("192.168.0.1", f"R{number}"), "")
            admission.leave(host, title)
        self.assertEqual((len(admission._hosts), len(admission._titles), admission.count), (0, 0, 0))

    def test_from_many_threads(self) -> None:
        admission, most = self.admission(associations=10), 0
        gate = threading.Barrier(8)

        def come_and_go() -> None:
            nonlocal most
            gate.wait(SECONDS)
            for number in range(500):
                if not admission.enter("10.0.0.1", f"T{number % 3}"):
                    most = max(most, admission.count)
                    admission.leave("10.0.0.1", f"T{number % 3}")

        threads = [threading.Thread(target=come_and_go) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        self.assertEqual((admission.count, admission._hosts), (0, {}))
        self.assertTrue(0 < most <= 10)


class Connections(unittest.TestCase):
    """Who is there."""

    def setUp(self) -> None:
        self.clients: Clients[str] = Clients()

    def test_they_come_and_go(self) -> None:
        for name in ("a", "b", "c"):
            self.clients.add(name)
        self.clients.discard("b")
        self.clients.discard("b")
        self.assertEqual((self.clients.everyone(), len(self.clients), self.clients.at(1)), (["a", "c"], 2, "c"))
        for wrong in (2, -1, "0", None):
            with self.assertRaises(LDicomUsageError):
                self.clients.at(wrong)  # type: ignore[arg-type]

    def test_no_more_than_may(self) -> None:
        self.clients.open(Limits(connections=2))
        self.clients.add("a")
        self.assertTrue(self.clients.has_room())
        self.clients.add("b")
        with self.assertLogs("ldicomnet.listener", "WARNING") as logs:
            self.assertEqual({self.clients.has_room() for _ in range(999)}, {False})
        self.assertEqual((len(logs.output), self.clients.turned_away), (1, 999), "a flood does not fill the log")
        self.clients.discard("a")
        self.assertTrue(self.clients.has_room())

    def test_waiting_for_them_to_go(self) -> None:
        self.assertTrue(self.clients.wait_for(0, 0))
        for name in ("a", "b"):
            self.clients.add(name)
        self.assertFalse(self.clients.wait_for(0, 0.001))
        self.assertTrue(self.clients.wait_for(2, 0))
        leaving = threading.Thread(target=lambda: [self.clients.discard(name) for name in ("a", "b")])
        leaving.start()
        self.assertTrue(self.clients.wait_for(0, SECONDS))
        leaving.join(SECONDS)


if __name__ == "__main__":
    unittest.main()
