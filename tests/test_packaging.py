"""What a user gets from an index: the wheel, the source archive, and the wheel installed by itself."""

import email
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import unittest
import zipfile
from importlib import metadata
from pathlib import Path

import ldicomnet

ROOT = Path(__file__).resolve().parent.parent
REQUIRED = bool(os.environ.get("LDICOMNET_REQUIRE_PEERS"))

# Not a part of the project though inside its folder. Copying the rest keeps the build's leavings out of the
# checkout, and two interpreters can test it at once.
NOT_OURS = shutil.ignore_patterns(
    *(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "node_modules"),
    *("build", "dist", "site", "*.egg-info"),
)


def missing() -> str:
    """Say what a build without isolation lacks here, or nothing."""
    for module in ("build", "pip", "setuptools"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed (pip install -e .[test])"
    if int(metadata.version("setuptools").split(".")[0]) < 77:
        return f"setuptools {metadata.version('setuptools')} is older than 77"
    return ""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without this process's Python settings; return what it printed, or raise with that."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}")
    return done.stdout


class Packaging(unittest.TestCase):
    """One build serves all: the source archive from the checkout, and the wheel from that archive."""

    folder: Path
    wheel: Path
    wheel_names: set[str]
    sdist_names: set[str]
    metadata: "email.message.Message"

    @classmethod
    def setUpClass(cls) -> None:
        lack = missing()
        if lack and REQUIRED:
            raise AssertionError(lack)
        if lack:
            raise unittest.SkipTest(lack)
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="ldicomnet-packaging-")))
        shutil.copytree(ROOT, cls.folder / "source", ignore=NOT_OURS)
        # What must not travel.
        for stray in ("tests/interop/node_modules/x.js", "ldicomnet/__pycache__/x.pyc", ".venv/x.py"):
            path = cls.folder / "source" / stray
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        out = cls.folder / "out"
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, cwd=cls.folder / "source")
        (cls.wheel,) = out.glob("*.whl")
        (sdist,) = out.glob("*.tar.gz")
        with zipfile.ZipFile(cls.wheel) as archive:
            cls.wheel_names = set(archive.namelist())
            (name,) = (name for name in cls.wheel_names if name.endswith(".dist-info/METADATA"))
            cls.metadata = email.message_from_bytes(archive.read(name))
        with tarfile.open(sdist) as archive:
            # Without the leading folder ldicomnet-VERSION.
            cls.sdist_names = {member.name.partition("/")[2] for member in archive if member.isfile()}

    def test_version_is_one(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        self.assertEqual(project["version"], ldicomnet.__version__)
        self.assertEqual(self.metadata["Version"], ldicomnet.__version__)

    def test_wheel_holds_the_whole_package_and_nothing_else(self) -> None:
        package = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / "ldicomnet").rglob("*")
            if path.suffix == ".py" or path.name == "py.typed"
        }
        self.assertIn("ldicomnet/py.typed", package)
        info = f"ldicomnet-{ldicomnet.__version__}.dist-info/"
        self.assertEqual({name for name in self.wheel_names if not name.startswith(info)}, package)
        self.assertIn(f"{info}licenses/LICENSE", self.wheel_names)
        self.assertTrue(self.wheel.name.endswith("-py3-none-any.whl"), self.wheel.name)

    def test_sdist_can_be_read_tested_and_built(self) -> None:
        top = {"README.md", "LICENSE", "CHANGELOG.md", "Makefile", "mkdocs.yml", "setup.cfg"}
        self.assertLessEqual(top, self.sdist_names)
        ours = {
            path.relative_to(ROOT).as_posix()
            for folder in ("ldicomnet", "tests", "samples", "docs")
            for suffix in (".py", ".md")
            for path in (ROOT / folder).rglob(f"*{suffix}")
            if "node_modules" not in path.parts
        }
        self.assertLessEqual(ours, self.sdist_names)
        stray = re.compile(r"node_modules|\.pyc$|__pycache__|\.venv|\.git/")
        self.assertEqual([name for name in self.sdist_names if stray.search(name)], [])

    def test_metadata(self) -> None:
        required = [line for line in self.metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
        names = sorted(re.split(r"[^\w.-]", line)[0] for line in required)
        self.assertEqual(names, ["cryptography", "pydicom"])
        self.assertEqual(self.metadata["Name"], "ldicomnet")
        self.assertEqual(self.metadata["License-Expression"], "MIT")
        self.assertEqual(self.metadata["Requires-Python"], ">=3.11")
        self.assertEqual(self.metadata["Description-Content-Type"], "text/markdown")

    def test_wheel_works_where_nothing_else_is(self) -> None:
        place = self.folder / "elsewhere"
        run(sys.executable, "-m", "venv", "--without-pip", place, cwd=self.folder)
        python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        # pip of this environment, working on that one: no second pip has to be set up.
        pip = (sys.executable, "-m", "pip", "-qq", "--python", python, "install")
        run(*pip, "--no-deps", self.wheel, cwd=place)
        try:
            run(*pip, self.wheel, cwd=place)
        except AssertionError as error:
            # The wheel itself went in above, so this is the registry's doing.
            if REQUIRED:
                raise
            self.skipTest(f"pydicom and cryptography could not be fetched: {str(error).splitlines()[-1]}")
        # Every module, so that one that leans on a test dependency is found out.
        program = """
import importlib, importlib.metadata, pkgutil, ldicomnet
for module in pkgutil.walk_packages(ldicomnet.__path__, "ldicomnet."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(ldicomnet.__file__)
print(ldicomnet.__version__, importlib.metadata.version("ldicomnet"))
"""
        file, versions = run(python, "-I", "-c", program, cwd=place).splitlines()
        self.assertTrue(Path(file).is_relative_to(place), file)
        self.assertEqual(versions.split(), [ldicomnet.__version__] * 2)


if __name__ == "__main__":
    unittest.main()
