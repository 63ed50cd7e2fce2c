"""`moonlatch protect`: protects a script file without a server. The result runs by itself, outside of Moonlatch."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from moonlatch.cli.check import ScriptFile, json_of, show_diagnostics
from moonlatch.cli.choices import EngineName, Profile, Target
from moonlatch.cli.output import CommandError, Json, read_script, remark, shown, write_json
from moonlatch.cli.remote import ordered, parsed_settings
from moonlatch.cli.report import Watch, show_report
from moonlatch.crypto import new_seed
from moonlatch.luraph.order import Order, Setting
from moonlatch.obfuscator.observation import observed
from moonlatch.obfuscator.options import DEFAULT_PROFILE, PLAINEST_PROFILE, Options
from moonlatch.obfuscator.outcome import EngineError, Failure, Protected, Readable, Rejected
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic


@dataclass
class Luraph:
    """How the service is to do it; at its own address without a `url`."""

    api_key: str = field(repr=False)
    settings: dict[str, Setting]
    url: str | None


@dataclass
class Job:
    """What is to be done to one file."""

    file: Path
    source: bytes
    options: Options
    seed: int
    luraph: Luraph | None
    watch: Watch = field(default_factory=Watch)


@dataclass
class Ended:
    """What came of it: a text, or why there is none."""

    text: bytes = b""
    warnings: list[str] = field(default_factory=list)
    readable: list[Readable] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    errors: list[EngineError] = field(default_factory=list)
    line_map: bytes = b""

    @property
    def is_success(self) -> bool:
        return not self.diagnostics and not self.errors

    @property
    def file(self) -> bytes:
        """The text as a file has it."""
        return self.text if self.text.endswith(b"\n") else self.text + b"\n"


def protect(
    file: ScriptFile,
    *,
    profile: Annotated[Profile, typer.Option(help="How it is protected.")] = Profile(DEFAULT_PROFILE),
    target: Annotated[
        Target | None, typer.Option(help="Language of the result; without it the result runs wherever the source does.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="The same seed gives the same output; without it a fresh one.")
    ] = None,
    engine: Annotated[
        EngineName, typer.Option(help="What protects it; luraph is a service that needs a key of yours.")
    ] = EngineName.EMBEDDED,
    luraph_key: Annotated[
        str,
        typer.Option(
            envvar="MOONLATCH_LURAPH_KEY",
            metavar="KEY",
            help="API key with Luraph; better given by the variable.",
            show_default=False,
        ),
    ] = "",
    luraph_option: Annotated[
        list[str] | None, typer.Option(metavar="ID=VALUE", help="Option of the job with Luraph; may be repeated.")
    ] = None,
    luraph_url: Annotated[
        str | None,
        typer.Option(
            envvar="MOONLATCH_LURAPH__BASE_URL",
            metavar="URL",
            help="Address of Luraph's API; without it the service's own.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="File to write; without it standard output."),
    ] = None,
    line_map: Annotated[
        Path | None,
        typer.Option("--map", metavar="MAP", help="File for the map that `explain` reads; keep it to yourself."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let OUT be the source file itself.")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Tell what each step did, its time and the size it left.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Protect a script into a file of its own.

    Exit status 1 when it is invalid.
    """
    source = read_script(file)
    if output is not None and not force and _is_same_file(file, output):
        raise CommandError(
            f"{shown(output)} is the source itself, which would be lost", "Name another file, or add --force."
        )
    if line_map is not None and _is_same_file(file, line_map):
        raise CommandError(f"{shown(line_map)} is the source itself, which would be lost", "Name another file.")
    is_remote = engine is not EngineName.EMBEDDED
    if is_remote and line_map is not None:
        raise CommandError("only our own engine makes maps", "Leave --map out.")
    if is_remote and not luraph_key:
        raise CommandError("no API key for Luraph", "Set the variable MOONLATCH_LURAPH_KEY to it.")
    settings = parsed_settings(luraph_option or [])
    job = Job(
        file=file,
        source=source,
        options=Options(
            profile=PLAINEST_PROFILE if is_remote else profile.value, target=target, keeps_macros=is_remote
        ),
        seed=new_seed() if seed is None else seed,
        luraph=Luraph(luraph_key, settings, luraph_url) if is_remote else None,
    )
    ended = _done(job)
    if ended.is_success and output is not None:
        _save(ended.file, output)
    if ended.is_success and line_map is not None:
        _save(ended.line_map, line_map)
    if as_json:
        write_json(_json(job, ended, engine, with_script=output is None))
    else:
        _tell(job, ended, output, report=report)
    if not ended.is_success:
        raise typer.Exit(1)


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # there is no such file yet
        return False


def _done(job: Job) -> Ended:
    from moonlatch.obfuscator import pipeline

    outcome = pipeline.protect(job.source, job.options, job.seed, job.watch)
    match outcome:
        case Rejected():
            return Ended(diagnostics=outcome.diagnostics)
        case Failure():
            return Ended(errors=outcome.errors)
        case Protected():
            text = outcome.text.encode("ascii")
            return (
                Ended(text, outcome.warnings, outcome.readable, line_map=outcome.line_map.to_bytes())
                if job.luraph is None
                else _ordered(job, job.luraph, text, outcome.warnings)
            )


def _ordered(job: Job, luraph: Luraph, text: bytes, warnings: list[str]) -> Ended:
    order = Order(text, job.file.name, luraph.api_key, job.options.target, luraph.settings)
    with observed(job.watch, "luraph"):
        received = ordered(order, luraph.url)
    if isinstance(received, Failure):
        return Ended(errors=received.errors)
    return Ended(received.text, [*warnings, *received.warnings])


def _json(job: Job, ended: Ended, engine: EngineName, *, with_script: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "success": ended.is_success,
        "diagnostics": [json_of(one) for one in ended.diagnostics],
        "errors": [{"param": one.param, "message": one.message} for one in ended.errors],
        "warnings": ended.warnings,
        "readable": [{"line": one.line, "name": one.name, "part": one.part} for one in ended.readable],
        "profile": job.options.profile,
        "target": job.options.target,
        "engine": engine,
        "seed": job.seed,
        "source_bytes": len(job.source),
        "output_bytes": len(ended.text),
        "seconds": round(job.watch.seconds, 6),
        "steps": [step.json() for step in job.watch.steps],
    }
    if with_script and ended.is_success:
        answer["script"] = ended.text.decode("utf-8", "surrogateescape")
    return answer


def _tell(job: Job, ended: Ended, output: Path | None, *, report: bool) -> None:
    show_diagnostics(job.source, ended.diagnostics, str(job.file))
    if ended.errors:
        said = "; ".join(f"{one.param}: {one.message}" if one.param else one.message for one in ended.errors)
        raise CommandError(f"{shown(job.file)} could not be protected: {said}")
    for warning in ended.warnings:
        remark(f"warning: {warning}", "yellow")
    if not ended.is_success:
        return
    if report:
        title = f"{job.file}, profile {job.options.profile}, seed {job.seed}"
        show_report(title, job.watch, source_bytes=len(job.source), output_bytes=len(ended.text))
        for one in ended.readable:
            remark(f"readable for its speed: line {one.line}, {one.name or 'a function'} ({one.part})", "dim")
    if output is None:
        sys.stdout.buffer.write(ended.file)
    else:
        remark(f"{shown(job.file)} ({len(job.source):,} bytes) -> {shown(output)} ({len(ended.text):,} bytes)", "green")


def _save(content: bytes, output: Path) -> None:
    try:
        output.write_bytes(content)
    except OSError as error:
        raise CommandError(f"{shown(output)} cannot be written: {error.strerror}") from None
