"""What `deploy/` says is true of this program: settings, commands, files and routes exist, and what can be run is run.

No container engine and no running systemd is needed, so images are not built here and the service is only checked.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import typer
import uvicorn
import yaml

from moonlatch.cli import app
from moonlatch.config import load_settings
from moonlatch.config.reference import describe_settings
from moonlatch.serving.server import LEAVE_SECONDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "moonlatch"}
CONTAINERFILE = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
ENVIRONMENT = {"DOMAIN": "scripts.example.com", "POSTGRES_PASSWORD": "pass/word"}


@pytest.mark.parametrize("file", sorted(path.name for path in DEPLOY.iterdir()))
def test_every_variable_of_ours_is_a_setting(file: str) -> None:
    used = set(re.findall(r"\bMOONLATCH_[A-Z_]+", (DEPLOY / file).read_text()))
    assert used - {one.variable for one in describe_settings()} == set()


def test_every_variable_in_the_documentation_is_one() -> None:
    others = {
        f"MOONLATCH_{name}"
        for name in ("URL", "TOKEN", "LURAPH_KEY", "CONFIG", "PROTECTOR__WORKERS", "BACKUP_PASSPHRASE", "DISCORD_TOKEN")
    }
    known = {one.variable for one in describe_settings()} | others
    pages = [ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")]
    used = {(page.name, name) for page in pages for name in re.findall(r"\bMOONLATCH_[A-Z_]+\w", page.read_text())}
    assert {(page, name) for page, name in used if name not in known and "_TIERS__" not in name} == set()


def test_the_passwords_of_the_compose_file_are_not_committed() -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", "deploy/.env"], cwd=ROOT, check=False)
    assert ignored.returncode in (0, 128)  # 128: not a working tree of git


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", CONTAINERFILE, re.MULTILINE)


def test_what_the_image_copies_is_in_the_repository() -> None:
    sources = [source for line in instructions("COPY") if not line.startswith("--from") for source in line.split()[:-1]]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    sent = (ROOT / ".dockerignore").read_text().split()
    assert sent[0] == "*"
    assert [source for source in sources if f"!{source.split('/')[0]}" not in sent] == []


def test_what_the_image_runs_is_a_command_of_the_program() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    (entry,), (command,) = (json.loads(instructions(name)[0]) for name in ("ENTRYPOINT", "CMD"))
    assert entry in scripts
    assert command in COMMANDS
    check = json.loads(re.findall(r"HEALTHCHECK.*? CMD (\[.*\])", CONTAINERFILE)[0])
    assert check[0] == "python"
    compile(check[2], "healthcheck", "exec")
    assert "/health/ready" in check[2]


def test_what_builds_is_not_in_the_image() -> None:
    installing = [
        part.strip()
        for line in instructions("RUN")
        for part in line.split("&&")
        if "-m pip" in part and " install " in part
    ]
    for part in installing:
        is_for_building = "-r requirements/build.txt" in part or "-r requirements/node.txt" in part
        assert is_for_building == ("--python /opt/moonlatch" not in part), part
    assert instructions("COPY")[-1].startswith("--from=build /opt/moonlatch")


def test_the_installed_package_has_everything_the_program_reads(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        ROOT,
    ]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    needed = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        # What the dashboard is built from is of no use to a server.
        if path.is_file() and not {"__pycache__", "page"} & set(path.parts)
    }
    assert needed - packed == set()


def test_compose_names_only_what_it_declares() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        for other in service.get("depends_on", []):
            assert other in services, name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            declared = source in COMPOSE["volumes"]
            assert declared or (DEPLOY / source).exists(), (name, volume)
    build = OURS["moonlatch-1"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).exists()


def test_compose_runs_two_processes_on_both_engines_with_one_master_key() -> None:
    serving = {name: service for name, service in OURS.items() if service.get("command", ["serve"]) == ["serve"]}
    assert len(serving) == 2
    assert all(service.get("command", ["serve"])[0] in COMMANDS for service in OURS.values())
    assert {tuple(service["volumes"]) for service in serving.values()} == {("data:/data",)}
    proxied = re.findall(r"(\S+):8400", (DEPLOY / "Caddyfile").read_text())
    assert sorted(proxied) == sorted(serving)


def test_composes_settings_are_valid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOONLATCH_DATA_DIR", str(tmp_path))
    for name, value in OURS["moonlatch-1"]["environment"].items():
        filled = re.sub(r"\$\{(\w+)[^}]*\}", lambda match: ENVIRONMENT[match[1]].replace("/", "%2F"), str(value))
        monkeypatch.setenv(name, filled)
    settings = load_settings()
    assert settings.public_url == "https://scripts.example.com"
    assert "postgres:5432" in settings.database_url.get_secret_value()
    assert settings.log.format == "json"
    assert settings.trusted_proxies == (COMPOSE["networks"]["default"]["ipam"]["config"][0]["subnet"],)


def test_proxies_drop_idle_connections_before_the_server_does() -> None:
    kept = [
        int(seconds)
        for file, setting in (("Caddyfile", "keepalive"), ("nginx.conf", "keepalive_timeout"))
        for seconds in re.findall(rf"^\s*{setting} (\d+)s;?$", (DEPLOY / file).read_text(), re.MULTILINE)
    ]
    assert len(kept) == 2
    assert max(kept) < uvicorn.Config("").timeout_keep_alive < LEAVE_SECONDS


def test_proxies_have_been_told_twice_before_a_process_refuses_them() -> None:
    (interval,) = re.findall(r"health_interval (\d+)s", (DEPLOY / "Caddyfile").read_text())
    assert 2 * int(interval) < LEAVE_SECONDS


def test_proxies_say_themselves_whose_address_it_is() -> None:
    # Caddy replaces what a client says unless it is told to trust some; nginx adds behind it.
    assert re.search(r"trusted_proxies|header_up", (DEPLOY / "Caddyfile").read_text()) is None
    nginx = (DEPLOY / "nginx.conf").read_text()
    assert re.findall(r"X-Forwarded-For (\S+);", nginx) == ["$proxy_add_x_forwarded_for"]
    assert re.search(r"set_real_ip_from|real_ip_header", nginx) is None


def test_proxies_take_what_the_server_takes() -> None:
    (mebibytes,) = re.findall(r"client_max_body_size (\d+)m;", (DEPLOY / "nginx.conf").read_text())
    assert int(mebibytes) * 2**20 > load_settings().management.max_body_bytes


def service_lines(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", (DEPLOY / "moonlatch.service").read_text(), re.MULTILINE)


def test_the_service_runs_a_command_of_the_program_and_waits_for_its_draining() -> None:
    program, command, option, _ = service_lines("ExecStart")[0].split()
    assert program.endswith("/.venv/bin/moonlatch")
    assert command in COMMANDS
    assert option in [name for parameter in COMMANDS[command].params for name in parameter.opts]
    assert int(service_lines("TimeoutStopSec")[0]) > 35
    # Its workers say so too.
    assert (service_lines("Type"), service_lines("NotifyAccess")) == (["notify"], ["all"])


def test_a_second_service_shares_the_folder_of_the_first() -> None:
    assert service_lines("StateDirectory") == service_lines("User") == ["moonlatch"]


def test_systemd_finds_nothing_to_say_about_the_service(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    unit = tmp_path / "moonlatch.service"
    text = (DEPLOY / "moonlatch.service").read_text()
    # Where it is installed is not here, and systemd asks whether the program can be run.
    unit.write_text(text.replace("/opt/moonlatch/.venv/bin/moonlatch", shutil.which("true") or "/bin/true"))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True, check=False
    )
    level = re.search(r"Overall exposure level for moonlatch\.service: (\d+\.\d+)", rated.stdout)
    assert level is not None
    assert float(level[1]) < 2.0
