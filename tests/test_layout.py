"""The house: an import of the package only ever points down, and each room is small and says what it is."""

from __future__ import annotations

import ast
import subprocess
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path

import ldicomnet

PACKAGE = Path(ldicomnet.__file__).parent

# The floors, lowest first. A room may import from floors below its own.
FLOORS = """
status turns
errors timing log threads workers text buffers tls
ending admission checks wire upper_layer body part10 operations transport tls.profiles tls.reasons tls.texts
tls.suites
tls.link
tls.settings transport.tls tls.psk
tls.certificates
tls.context tls.examine
tls.setup tls.judgement
tls.sides
items command_set structure part_file machine deadlines transport.tcp transport.memory transport.pace
message sinks encoding decoding iscl iscl.ciphers iscl.inbox
iscl.options pdu user_information negotiation outbound inbound outbox statistics
calls associate dataset clients listener iscl.wire
sender duplicates iscl.handshake iscl.transfer
transport.iscl_opening
securing transport.iscl
engine services
hooks
settings
tls.members iscl_members
security
application
conversation
net
__init__
"""
LARGEST = 600

# Rooms, and what none of them ever imports; names of the package's own rooms begin with a dot.
NEVERS = (
    (
        "status errors checks wire part10 upper_layer items command_set message pdu user_information negotiation "
        "inbound outbound associate body part_file sinks encoding decoding structure text duplicates "
        "iscl iscl.ciphers iscl.inbox iscl.options iscl.wire iscl.handshake iscl.transfer",
        "socket ssl threading time",
    ),
    ("command_set", ".message .pdu .part10 .body"),
    ("body part_file sinks", ".pdu .items .wire .message .command_set .part10 .inbound .outbound .engine .transport"),
    ("encoding", ".pdu .items .wire .message .command_set .engine .transport"),
    ("decoding", ".pdu .items .wire .message .engine .transport"),
    ("structure text", "pydicom"),
    ("machine operations deadlines workers", ".pdu .message .transport .outbox .inbound .outbound .engine .sender"),
    ("sender", ".inbound .engine .net .hooks .services .conversation .associate .dataset .sinks"),
    ("transport transport.tcp transport.memory transport.iscl", ".pdu .items .message .engine .inbound .outbound"),
    ("services hooks", ".engine .conversation .net"),
    ("duplicates", ".pdu .message .engine .transport .net"),
    ("securing", ".inbound .engine .net .hooks .services .conversation .pdu"),
    (
        "tls.suites tls.profiles tls.settings tls.link tls.setup tls.members",
        "socket .engine .conversation .net .transport.tcp",
    ),
    (
        "tls.texts tls.certificates tls.context tls.examine tls.judgement tls.reasons",
        "socket .transport .engine .hooks",
    ),
    ("transport.tls", "socket cryptography .transport.tcp .tls.context .tls.judgement .engine .pdu"),
    ("engine", ".net .hooks .services .conversation .associate .dataset"),
    ("upper_layer", ".pdu .wire .transport"),
)
NO_DATA_IS_CODE = ("pickle", "marshal", "shelve", "subprocess", "importlib", "runpy", "code", "ctypes")
NOT_AT_IMPORT = ("pydicom", "cryptography", "ssl", "numpy", "pynetdicom")


def rooms() -> dict[str, Path]:
    """Every file of the package by the name of its room."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts if parts == ("__init__",) or parts[-1] != "__init__" else parts[:-1])] = path
    return found


def imports(room: str, path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of everything a room imports, wherever it stands; its own package's rooms begin with a dot."""
    known = rooms()
    package = room.split(".") if path.name == "__init__.py" and room != "__init__" else room.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, own(alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, name) for name in named(own(node.module or ""), node, known))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] + (node.module or "").split(".")
            yield from ((node.lineno, name) for name in named("." + ".".join(filter(None, base)), node, known))


def own(name: str) -> str:
    """An absolute import of the package as one that begins with a dot."""
    return "." + name.partition(".")[2] if name.split(".")[0] == "ldicomnet" else name


def named(base: str, node: ast.ImportFrom, known: dict[str, Path]) -> Iterator[str]:
    """`from base import name`: the room `name` where there is one, else `base`."""
    for alias in node.names:
        room = f"{base}.{alias.name}".lstrip(".")
        yield f".{room}" if base.startswith(".") and room in known else base


class Layout(unittest.TestCase):
    """Imports of every file, read without running it."""

    def setUp(self) -> None:
        lines = FLOORS.strip().splitlines()
        self.floors = {room: floor for floor, line in enumerate(lines) for room in line.split()}
        self.rooms = rooms()

    def test_every_room_has_a_floor(self) -> None:
        self.assertEqual(set(self.rooms), set(self.floors))

    def test_imports_point_down(self) -> None:
        for room, path in self.rooms.items():
            for line, name in imports(room, path):
                if name.startswith(".") and {room, name[1:]} <= set(self.floors):
                    with self.subTest(f"{path.name}:{line} imports {name}"):
                        self.assertLess(self.floors[name[1:]], self.floors[room])

    def test_nevers(self) -> None:
        for names, never in NEVERS:
            for room in names.split():
                for line, name in imports(room, self.rooms[room]):
                    with self.subTest(f"{room}:{line} imports {name}"):
                        self.assertNotIn(name, never.split())
                        self.assertNotIn(name.split(".")[0] or name, never.split())

    def test_only_what_is_installed_with_it(self) -> None:
        allowed = {*sys.stdlib_module_names, "pydicom", "cryptography", ""}
        for room, path in self.rooms.items():
            for line, name in imports(room, path):
                self.assertIn(name.split(".")[0], allowed, f"{room}:{line}")

    def test_no_code_is_made_of_data(self) -> None:
        """No pickle, shell or import by name; the one `exec` compiles the methods of the table of messages."""
        calls = []
        for room, path in self.rooms.items():
            for line, name in imports(room, path):
                self.assertNotIn(name.split(".")[0], NO_DATA_IS_CODE, f"{room}:{line}")
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            names = [node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
            calls += [(room, name) for name in names if name in ("eval", "exec", "compile", "__import__")]
        self.assertEqual(calls, [("services", "exec")])

    def test_deadlines_do_not_know_the_wall_clock(self) -> None:
        """Setting it moves none: only the monotonic clock is asked."""
        for room, path in self.rooms.items():
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module == "time":
                    self.assertEqual([alias.name for alias in node.names], ["monotonic"], room)
                elif isinstance(node, ast.Import):
                    self.assertFalse({alias.name for alias in node.names} & {"time", "datetime"}, room)

    def test_this_test_sees_imports(self) -> None:
        """What the other tests rely on: relative, absolute, of rooms and of names, within functions too."""
        self.assertIn(".status", [name for _line, name in imports("errors", self.rooms["errors"])])
        self.assertIn(".transport", [name for _line, name in imports("transport.tcp", self.rooms["transport.tcp"])])
        self.assertIn(".status", [name for _line, name in imports("transport.tcp", self.rooms["transport.tcp"])])
        self.assertIn(".errors", [name for _line, name in imports("transport", self.rooms["transport"])])
        self.assertIn(".checks", [name for _line, name in imports("message", self.rooms["message"])])
        self.assertIn("pydicom.charset", [name for _line, name in imports("command_set", self.rooms["command_set"])])
        self.assertIn(".transport.tcp", [name for _line, name in imports("__init__", self.rooms["__init__"])])

    def test_no_room_is_large(self) -> None:
        for room, path in self.rooms.items():
            with self.subTest(room):
                self.assertLessEqual(len(path.read_text(encoding="utf-8").splitlines()), LARGEST)

    def test_the_first_line_says_what_a_room_is(self) -> None:
        for room, path in self.rooms.items():
            with self.subTest(room):
                text = path.read_text(encoding="utf-8")
                self.assertTrue(text.startswith('"""'))
                self.assertGreater(len((ast.get_docstring(ast.parse(text)) or "").splitlines()[0]), 20)

    def test_importing_it_imports_nothing_heavy(self) -> None:
        program = f"import sys, ldicomnet; print([name for name in {NOT_AT_IMPORT} if name in sys.modules])"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual((done.stdout.strip(), done.stderr), ("[]", ""))


if __name__ == "__main__":
    unittest.main()
