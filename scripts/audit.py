"""`audit.py LOCK_FILE...`: does a database of vulnerabilities know anything of the locked packages?

Ends with 0 for no, 1 for yes, and 2 where that cannot be said: pip-audit itself calls it a success when a mirror of PyPI has no such
database, and a failure like any other when there is no network.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SERVICES = ("pypi", "osv")
"""Databases to ask, until one answers for every package."""


def main(lock_files: list[str]) -> int:
    tool = shutil.which("pip-audit", path=str(Path(sys.executable).parent)) or shutil.which("pip-audit")
    if tool is None:
        print("pip-audit is not installed: `make audit` installs it")
        return 2
    files = [word for file in lock_files for word in ("--requirement", file)]
    command = [tool, *files, "--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]
    for service in SERVICES:
        done = subprocess.run(
            [*command, "--vulnerability-service", service], check=False, capture_output=True, text=True
        )
        try:
            packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError):
            reason = done.stderr.strip().splitlines()[-1:] or ["no answer"]
            print(f"{service}: nothing was audited: {reason[0]}")
            continue
        found = [(package, fault) for package in packages for fault in package.get("vulns", ())]
        for package, fault in found:
            versions = ", ".join(fault["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {fault['id']}, mended in {versions}")
        skipped = [package for package in packages if "skip_reason" in package]
        if found:
            return 1
        if not skipped:
            print(f"{service}: {len(packages)} packages, no known vulnerability")
            return 0
        print(f"{service}: {len(skipped)} of {len(packages)} packages were not audited: {skipped[0]['skip_reason']}")
    print(
        "No database answered for every package, so nothing is known: run this where pypi.org or api.osv.dev can be reached."
    )
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
