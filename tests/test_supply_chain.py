"""What says what a server is made of, and whether anything is known against it. The tools are not part of the tests' environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
AUDIT = ROOT / "scripts" / "audit.py"
TOOLS = Path(sys.executable).parent
FINE = {"name": "httpx", "version": "1.0", "vulns": []}
FAULTY = {"name": "redis", "version": "8.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["8.2"]}]}
SKIPPED = {"name": "typer", "skip_reason": "Dependency not found on PyPI and could not be audited: typer (0.29)"}


def audited(folder: Path, answers: dict[str, list[dict[str, Any]] | str]) -> tuple[int, str]:
    """Run the audit with a tool that answers this of each database; a text is what it says as it fails."""
    tool = folder / "pip-audit"
    tool.write_text(
        f"#!{sys.executable}\nimport json, sys\nanswer = {answers!r}[sys.argv[-1]]\n"
        "if isinstance(answer, str): sys.exit(answer)\n"
        "print(json.dumps({'dependencies': answer, 'fixes': []}))\n"
    )
    tool.chmod(0o700)
    python = folder / "python"  # beside whom the tool is looked for
    python.symlink_to(sys.executable)
    surroundings = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        [python, AUDIT, "requirements/base.txt"], env=surroundings, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_an_audit_that_found_nothing_says_of_how_many_packages(tmp_path: Path) -> None:
    assert audited(tmp_path, {"pypi": [FINE]}) == (0, "pypi: 1 packages, no known vulnerability\n")


def test_a_vulnerability_is_named_with_what_mends_it_and_fails(tmp_path: Path) -> None:
    code, said = audited(tmp_path, {"pypi": [FINE, FAULTY, SKIPPED]})
    assert (code, said) == (1, "redis 8.1: PYSEC-1, mended in 8.2\n")


def test_a_package_that_the_first_database_does_not_know_is_asked_of_the_second(tmp_path: Path) -> None:
    code, said = audited(tmp_path, {"pypi": [FINE, SKIPPED], "osv": [FINE, FINE]})
    assert code == 0
    assert "pypi: 1 of 2 packages were not audited" in said


def test_no_network_is_not_taken_for_no_vulnerability(tmp_path: Path) -> None:
    code, said = audited(tmp_path, {"pypi": "Could not connect to PyPI", "osv": [SKIPPED]})
    assert code == 2
    assert "pypi: nothing was audited: Could not connect to PyPI" in said
    assert said.endswith("nothing is known: run this where pypi.org or api.osv.dev can be reached.\n")


@pytest.mark.skipif(shutil.which("pip-audit", path=TOOLS) is None, reason="`make audit` was not run here")
def test_the_real_tool_without_a_network_is_understood(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"httpx==0.28.1 --hash=sha256:{'0' * 64}\n")
    nowhere = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    nowhere["XDG_CACHE_HOME"] = nowhere["PIP_CACHE_DIR"] = str(tmp_path)
    done = subprocess.run([sys.executable, AUDIT, lock], env=nowhere, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout
    assert done.stdout.count("nothing was audited") == 2


@pytest.mark.skipif(shutil.which("cyclonedx-py", path=TOOLS) is None, reason="`make sbom` was not run here")
def test_the_bill_of_materials_names_every_locked_package_with_its_hashes(tmp_path: Path) -> None:
    made = tmp_path / "sbom.json"
    make = ["make", "--no-print-directory", "sbom", f"SBOM={made}", f"VENV={TOOLS.parent}"]
    subprocess.run(make, cwd=ROOT, check=True, capture_output=True)
    document = json.loads(made.read_text())
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / "base.txt").read_text(), re.MULTILINE))
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["name"] == "moonlatch"
    assert {one["name"]: one["version"] for one in document["components"]} == locked
    assert all(one["externalReferences"][0]["hashes"] for one in document["components"])
