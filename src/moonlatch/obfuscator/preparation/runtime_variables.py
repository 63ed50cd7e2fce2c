"""Connects the `la_*` names of a script with the table the loader hands to it as its first argument.

Reading one is a live read of that table's field. What a script assigns to them would be a forgery of its own licence
data, so it is refused unless it is a mock for development, inside an `if` that tests `la_exists` for false.
The `LRM_*` names of another service are other names for the same values.
"""

from __future__ import annotations

from moonlatch.obfuscator.analysis.capacity import MAX_UPVALUES, needs_own_function
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.enclosure import enclose

EXISTS = "la_exists"
VARIABLES = frozenset(
    {
        "la_is_premium",
        "la_executions",
        "la_discord_id",
        "la_seconds_left",
        "la_user_note",
        "la_script_name",
        "la_supports_sessions",
        "la_script_build",
        "la_handle",
        "la_var",
        "la_webhook",
        "la_call",
        "la_report",
    }
)
ALIASES = {
    "LRM_IsUserPremium": "la_is_premium",
    "LRM_SEND_WEBHOOK": "la_webhook",
    "LRM_LinkedDiscordID": "la_discord_id",
    "LRM_ScriptName": "la_script_name",
    "LRM_ScriptVersion": "la_script_build",
    "LRM_SecondsLeft": "la_seconds_left",
    "LRM_TotalExecutions": "la_executions",
    "LRM_UserNote": "la_user_note",
}
WEBHOOKS = frozenset({"la_webhook", "LRM_SEND_WEBHOOK"})
COMPILER = "la load"
"""What a guard compiles with where the loader knows better than the script: a name that no script can have."""
_FIELDS = {name: name for name in VARIABLES} | ALIASES | {COMPILER: "la_load"}
NAMES = _FIELDS.keys() | {EXISTS}


def forged_variables(resolution: Resolution) -> list[Diagnostic]:
    """The assignments to runtime variables that are left once dead branches are gone."""
    nodes = [node for name in NAMES for node in resolution.assigned_globals.get(name, ())]
    return [
        Diagnostic(node.line, 1, f"{node.name} may be assigned only inside `if not {EXISTS} then`")
        for node in sorted(nodes, key=lambda node: node.line)
    ]


def functions_without_room(resolution: Resolution, target: Target) -> list[Diagnostic]:
    """The functions that read a runtime variable but can capture no further one, not even the table that has it."""
    limit = MAX_UPVALUES[target]
    used: dict[s.Function, set[str]] = {}
    for scope in resolution.scopes:
        function = scope.frame.node
        if function is not None and len(scope.frame.upvalues) >= limit:
            used.setdefault(function, set()).update(_FIELDS.keys() & scope.globals)
    return [
        Diagnostic(
            function.line, 1, f"This function captures {limit} variables already and cannot read {min(names)} too"
        )
        for function, names in used.items()
        if names
    ]


def addresses_in_calls(chunk: s.Chunk, resolution: Resolution) -> list[Diagnostic]:
    """The calls that name where a webhook leads, as another service has it: whoever has the build would have the address."""
    used = WEBHOOKS & resolution.globals.keys()
    if not used:
        return []
    calls = _Addresses()
    calls.chunk(chunk)
    return [
        Diagnostic(line, 1, f"{name} takes the name of a server webhook: a build must not contain its address")
        for line, name in calls.found
    ]


class _Addresses(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []

    def rewrite_call(self, node: s.Call) -> s.Expression:
        function, first = node.function, node.arguments[0] if node.arguments else None
        is_webhook = isinstance(function, s.Name) and function.binding is None and function.name in WEBHOOKS
        if is_webhook and isinstance(first, s.String) and b"://" in first.value:
            assert isinstance(function, s.Name)
            self.found.append((first.line, function.name))
        return super().rewrite_call(node)


def connect_runtime(chunk: s.Chunk, resolution: Resolution) -> bool:
    """Makes the chunk one that is called as `chunk(runtime, ...)`; the script's own `...` begins after `runtime`.

    Returns whether anything had to change; if so, the chunk's names are to be resolved again.
    """
    used = NAMES & resolution.globals.keys()
    runtime = resolution.fresh_name("runtime")
    if used:
        _Connector(runtime).chunk(chunk)
    needs_table = bool(used - {EXISTS})
    if resolution.main.uses_varargs or (needs_table and needs_own_function(resolution.main)):
        parameters = [s.Binding(runtime, chunk.body.line)]
        enclose(chunk, uses_varargs=resolution.main.uses_varargs, parameters=parameters)
    elif needs_table:
        line = chunk.body.line
        chunk.body.body.insert(0, s.Local([s.Binding(runtime, line)], [s.Varargs(line)], False, False, line))
    else:
        return bool(used)
    return True


class _Connector(Rewriter):
    def __init__(self, runtime: str) -> None:
        super().__init__()
        self._runtime = runtime

    def rewrite_name(self, node: s.Name) -> s.Expression:
        if node.binding is not None or node.name not in NAMES:
            return node
        if node.name == EXISTS:
            return s.TrueValue(node.line)
        return s.IndexName(s.Name(self._runtime, node.line), _FIELDS[node.name], node.line)
