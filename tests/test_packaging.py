"""The package as people install it without this repository: what it says it needs, what is in it, and that it runs on that alone."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.server import MoonlatchServer

REPOSITORY = Path(__file__).parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
SOURCE = REPOSITORY / "src"
PINNED_BY_ANOTHER = {"pydantic-core": "pydantic"}
"""What is imported and needs no bounds of ours, and which of our requirements wants exactly one version of it."""

NOT_IN_THE_WHEEL = ("moonlatch/dashboard/page/", "moonlatch/dashboard/built/")
"""What the dashboard is built from, and what it was built to, which is looked at by itself."""

pytestmark = pytest.mark.xdist_group("wheel")


def named(requirements: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(one.name): one for one in map(Requirement, requirements)}


REQUIRED = named(PROJECT["dependencies"])
EXTRAS = {extra: named(requirements) for extra, requirements in PROJECT["optional-dependencies"].items()}
OF_A_SERVER = REQUIRED | EXTRAS["age"] | EXTRAS["postgres"] | EXTRAS["redis"]


def lines(name: str) -> list[str]:
    found = (line.strip() for line in (REPOSITORY / "requirements" / name).read_text("utf-8").splitlines())
    return [line for line in found if line and not line.startswith(("#", "-r"))]


def locked() -> Mapping[str, str]:
    """Versions of the lock files."""
    text = "".join((REPOSITORY / "requirements" / name).read_text("utf-8") for name in ("base.txt", "try.txt"))
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def test_the_package_needs_what_the_lock_files_are_made_for() -> None:
    assert set(named(lines("base.in"))) == set(OF_A_SERVER)
    assert set(named(lines("try.in"))) == set(EXTRAS["try"])
    assert named(lines("base.in"))["redis"].extras == EXTRAS["redis"]["redis"].extras


@pytest.mark.parametrize("name", sorted(OF_A_SERVER | EXTRAS["try"]))
def test_every_dependency_has_bounds_and_the_tested_version_is_within_them(name: str) -> None:
    bounds = (OF_A_SERVER | EXTRAS["try"])[name].specifier
    operators = sorted(bound.operator for bound in bounds)
    assert operators in (["<", ">="], ["=="])
    assert bounds.contains(locked()[name]), (
        f"{name} is locked at {locked()[name]}, and pyproject.toml asks for {bounds}"
    )


def test_every_library_that_is_imported_is_named() -> None:
    distributions = metadata.packages_distributions()
    imported = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                imported.update(name.name.partition(".")[0] for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                imported.add(node.module.partition(".")[0])
    libraries = imported - sys.stdlib_module_names - {"moonlatch"}
    needed = {canonicalize_name(distributions[library][0]) for library in libraries}
    assert needed - set(PINNED_BY_ANOTHER) <= set(OF_A_SERVER)
    for pinned, by in PINNED_BY_ANOTHER.items():
        (requirement,) = [one for one in needs_of(by, frozenset()) if canonicalize_name(one.name) == pinned]
        assert "==" in str(requirement.specifier)


def needs_of(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """What an installed distribution needs here, with these extras of its own."""
    for requirement in map(Requirement, metadata.requires(name) or ()):
        if requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""})
        ):
            yield requirement


def link_needed(into: Path, requirements: Mapping[str, Requirement]) -> None:
    """Give a folder of packages what these requirements need, and what that needs, from where these tests run."""
    waiting, seen = list(requirements.values()), set()
    while waiting:
        requirement = waiting.pop()
        asked = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if asked in seen:
            continue
        seen.add(asked)
        waiting += needs_of(*asked)
        distribution = metadata.distribution(requirement.name)
        assert distribution.files is not None
        for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (into / top).exists():
                (into / top).symlink_to(distribution.locate_file(top))


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built as `pip install .` builds it; what builds it is here already."""
    folder = tmp_path_factory.mktemp("wheel")
    building = ("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, REPOSITORY)
    built = run(sys.executable, "-m", "pip", "--disable-pip-version-check", *building)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment: the package and what it says it needs, without an extra, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    assert run(sys.executable, "-m", "venv", "--without-pip", folder).returncode == 0
    (packages,) = folder.glob("lib/python*/site-packages")
    link_needed(packages, REQUIRED)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin" / "python")
    installed = run(*pip, "install", "--no-deps", "--no-index", wheel)
    assert installed.returncode == 0, installed.stderr
    checked = run(*pip, "check")
    assert checked.returncode == 0, checked.stdout
    for extra in ("age", "postgres", "redis", "try"):
        for name in EXTRAS[extra]:
            assert not (packages / name).exists()
    return folder / "bin"


class InstalledServer(MoonlatchServer):
    """The server of another environment."""

    def __init__(self, data: Path, programs: Path) -> None:
        super().__init__(data, python=str(programs / "python"))
        self._programs = programs

    @property
    def command(self) -> list[str]:
        return [str(self._programs / "moonlatch"), *super().command[3:]]


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    built = {name for name in held if name.startswith("moonlatch/dashboard/built/")}
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "src", cwd=REPOSITORY)
    if tracked.returncode == 0:
        there = {name.removeprefix("src/") for name in tracked.stdout.splitlines() if (REPOSITORY / name).exists()}
    else:  # an archive of the sources
        there = {
            str(path.relative_to(SOURCE))
            for path in SOURCE.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
    assert held - built == {name for name in there if not name.startswith(NOT_IN_THE_WHEEL)}
    assert {Path(name).suffix for name in held - built} == {".py", ".sql", ".lua", ".typed"}


def test_the_wheel_holds_the_dashboard_as_it_was_built_with_the_licences_of_what_is_in_it(wheel: Path) -> None:
    folder = SOURCE / "moonlatch" / "dashboard" / "built"
    there = {str(path.relative_to(SOURCE)) for path in folder.rglob("*") if path.is_file()}
    assert there, "the dashboard is not built: run `make dashboard`"
    with zipfile.ZipFile(wheel) as archive:
        assert there <= set(archive.namelist())
        assert b"Permission is hereby granted" in archive.read("moonlatch/dashboard/built/licences.txt")


def test_the_installed_package_serves_with_nothing_but_what_it_says_it_needs(environment: Path, tmp_path: Path) -> None:
    with InstalledServer(tmp_path / "data", environment) as server:
        assert httpx.get(f"{server.url}/health/live").status_code == 200
        assets = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css))"', httpx.get(f"{server.url}/docs").text)
        assert assets
        assert {httpx.get(server.url + asset).status_code for asset in assets} == {200}
        page = httpx.get(f"{server.url}/dashboard/")
        scripts = re.findall(r'src="([^"]+\.js)"', page.text)
        assert (page.status_code, len(scripts)) == (200, 1)
        assert httpx.get(f"{server.url}/dashboard/{scripts[0]}").status_code == 200
        loader = httpx.get(f"{server.url}/loader/{published_example(server)}")
        assert (loader.status_code, len(loader.text) > 10_000) == (200, True)
        assert server.stop() == 0


def published_example(server: MoonlatchServer) -> str:
    """The script's id, as soon as the first start has told it."""
    # No terminal sees it, so it is written where the first start leaves what only the owner may know.
    told_in = server.data / "first-start.txt"
    give_up = time.monotonic() + 60
    while server.is_running and time.monotonic() < give_up:
        told = re.search(r"/loader/(\w+)\W", told_in.read_text("utf-8") if told_in.exists() else "")
        if told is not None:
            return told[1]
        time.sleep(0.05)
    raise AssertionError(server.log.read_text("utf-8"))


def test_the_installed_package_checks_and_protects_a_script(environment: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.lua"
    script.write_text("print('hello')")
    checked = run(environment / "moonlatch", "check", script, cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    script.write_text("print('hello'")
    assert run(environment / "moonlatch", "check", script, cwd=tmp_path).returncode == 1


def test_what_an_extra_is_needed_for_says_so(environment: Path, tmp_path: Path) -> None:
    program, data = environment / "moonlatch", tmp_path / "data"
    url = "postgresql://user:password@127.0.0.1:1/moonlatch"
    (tmp_path / "source").mkdir()
    assert run(program, "accounts", "create", "ann", "--data", tmp_path / "source").returncode == 0
    for arguments in (
        ("serve", "--data", data),
        ("migrate", "--database-url", url, "--data", data),
        ("transfer", tmp_path / "source", url),
    ):
        refused = run(program, *arguments, env={"MOONLATCH_DATABASE_URL": url}, cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "pip install 'moonlatch[postgres]'" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert not data.exists()
    lacking = run(environment / "python", "-c", "import moonlatch.live.redis")
    assert "MissingExtraError: Redis needs the library redis" in lacking.stderr
    assert "pip install 'moonlatch[redis]'" in lacking.stderr
    assert "moonlatch[try]" in run(program, "try", cwd=tmp_path).stderr
