from __future__ import annotations

import pytest

from support.luau import run_lua, run_luau
from support.protecting import faults, protected

RUNTIME = (
    "{ la_is_premium = true, la_executions = 12, la_discord_id = 'd', la_seconds_left = 100, la_user_note = 'note', "
    "la_script_name = 'name', la_supports_sessions = false, la_script_build = 7, la_handle = function(...) print('handle', ...) end, la_var = function(name) return name .. '!' end, la_webhook = function(name, data) return name .. data.at end }"
)


def started(source: str, profile: str = "light", target: str = "luau", arguments: str = "'one', nil") -> str:
    """What the loader would run, with its table and two arguments of the script's own."""
    text = protected(source, profile, target=target, client=True)
    return f"local runtime = {RUNTIME} (function(...) {text} end)(runtime, {arguments})".replace("} (f", "};(f")


@pytest.mark.parametrize("profile", ["minify", "light"])
@pytest.mark.parametrize("target", ["luau", "lua51"])
def test_every_variable_is_read_from_the_table(profile: str, target: str) -> None:
    source = "print(la_is_premium, la_executions, la_discord_id, la_seconds_left, la_user_note, la_script_name, la_exists, la_supports_sessions, la_script_build)"
    chunk = started(source, profile, target)
    expected = "true\t12\td\t100\tnote\tname\ttrue\tfalse\t7"
    assert run_luau(chunk).output == expected
    if target == "lua51":
        assert run_lua("lua51", chunk).output == expected


def test_reads_are_live() -> None:
    text = protected("print(la_seconds_left) tick() print(la_seconds_left)", client=True)
    runtime = "local r = { la_seconds_left = 100 } function tick() r.la_seconds_left -= 1 end "
    assert run_luau(f"{runtime}do local function chunk(...) {text} end chunk(r) end").output == "100\n99"


def test_another_services_webhooks_are_server_webhooks() -> None:
    source = 'if LRM_SEND_WEBHOOK ~= nil then print(LRM_SEND_WEBHOOK("drops", { at = 1 }), la_webhook("drops", { at = 2 })) end'
    assert run_luau(started(source)).output == "drops1\tdrops2"


def test_a_webhooks_address_in_its_call_is_refused_with_its_line() -> None:
    fault = "takes the name of a server webhook: a build must not contain its address"
    for name in ("LRM_SEND_WEBHOOK", "la_webhook"):
        source = f'print(1)\nlocal t = {{ {name}("https://hooks.example/x", {{}}) }}\n'
        assert faults(source, client=True) == [f"2: {name} {fault}"]
    for harmless in (
        'la_webhook("drops", { link = "https://example.com" })',
        'local la_webhook = print la_webhook("a://b")',
    ):
        assert protected(harmless, client=True)


def test_names_of_another_service_are_other_names_for_the_same_values() -> None:
    source = "print(LRM_IsUserPremium, LRM_LinkedDiscordID, LRM_ScriptName, LRM_ScriptVersion, LRM_SecondsLeft, LRM_TotalExecutions, LRM_UserNote)"
    assert run_luau(started(source)).output == "true\td\tname\t7\t100\t12\tnote"


def test_reads_under_another_name_are_live() -> None:
    text = protected("print(LRM_SecondsLeft) tick() print(LRM_SecondsLeft)", client=True)
    runtime = "local r = { la_seconds_left = 100 } function tick() r.la_seconds_left -= 1 end "
    assert run_luau(f"{runtime}do local function chunk(...) {text} end chunk(r) end").output == "100\n99"


def test_another_name_may_be_assigned_in_a_mock_only() -> None:
    assert faults("\nLRM_SecondsLeft = 5", client=True) == [
        "2: LRM_SecondsLeft may be assigned only inside `if not la_exists then`"
    ]
    mocked = "if not LPH_OBFUSCATED then LRM_SecondsLeft = -1 end print(LRM_SecondsLeft)"
    assert run_luau(started(mocked)).output == "100"


def test_handlers_are_registered_with_all_arguments() -> None:
    assert run_luau(started("la_handle('key', 5) la_handle 'x'")).output == "handle\tkey\t5\nhandle\tx"


def test_the_script_sees_only_its_own_arguments() -> None:
    assert run_luau(started("print(select('#', ...), ...)")).output == "2\tone\tnil"
    assert run_luau(started("print(la_executions, ...)")).output == "12\tone\tnil"
    assert run_luau(started("print(...)", arguments="1, 2, 3")).output == "1\t2\t3"


def test_a_local_of_that_name_is_the_script_s_own() -> None:
    assert run_luau(started("local la_user_note = 'mine' print(la_user_note)")).output == "mine"


def test_fields_of_that_name_are_fields() -> None:
    assert run_luau(started("local t = { la_exists = 1 } print(t.la_exists, t.la_executions)")).output == "1\tnil"


def test_a_script_with_two_hundred_locals_still_gets_its_table() -> None:
    lines = " ".join(f"local v{i} = tostring({i})" for i in range(199))
    assert run_luau(started(f"{lines} print(v198, la_executions)")).output == "198\t12"


@pytest.mark.parametrize(
    "source",
    [
        "if not la_exists then la_is_premium = true end",
        "if la_exists then print('x') else la_is_premium = true end",
        "if la_exists == false then la_is_premium = true la_exists = true end",
        "if not la_exists and debugging then function la_handle() end end",
        "if debugging and not la_exists then la_user_note = '' end",
        "if la_exists then elseif x then la_user_note = '' end",
        "local function mock() if not la_exists then la_executions += 1 end end",
        "if not la_exists then if x then for i = 1, 2 do la_executions = i end end end",
    ],
)
def test_mocks_for_development_are_accepted_and_leave_the_build(source: str) -> None:
    text = protected(source, client=True)
    assert "la_" not in text


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("la_is_premium = true", "1: la_is_premium may be assigned only inside `if not la_exists then`"),
        ("\nla_executions += 1", "2: la_executions may be assigned only inside `if not la_exists then`"),
        ("function la_handle() end", "1: la_handle may be assigned only inside `if not la_exists then`"),
        ("la_exists = false", "1: la_exists may be assigned only inside `if not la_exists then`"),
        (
            "if la_exists then\nla_user_note = '' end",
            "2: la_user_note may be assigned only inside `if not la_exists then`",
        ),
        (
            "if not la_exists or x then\nla_user_note = '' end",
            "2: la_user_note may be assigned only inside `if not la_exists then`",
        ),
        (
            "if not la_exists then end x, la_user_note = 1, 2",
            "1: la_user_note may be assigned only inside `if not la_exists then`",
        ),
        (
            "local la_exists = false if not la_exists then\nla_user_note = '' end",
            "2: la_user_note may be assigned only inside `if not la_exists then`",
        ),
    ],
)
def test_an_assignment_elsewhere_is_refused_with_its_line(source: str, fault: str) -> None:
    assert faults(source, client=True) == [fault]


def test_without_a_loader_the_names_are_ordinary_globals() -> None:
    assert (
        protected("la_is_premium = true if not la_exists then f() end", "minify")
        == "la_is_premium=true if not la_exists then f()end"
    )


def capturing(count: int) -> str:
    """A script whose innermost function captures that many locals and reads a runtime variable."""
    outer = " ".join(f"local v{i} = tostring({i})" for i in range(count // 2))
    inner = " ".join(f"local w{i} = tostring({i})" for i in range(count - count // 2))
    uses = " ".join([f"f(v{i})" for i in range(count // 2)] + [f"f(w{i})" for i in range(count - count // 2)])
    return f"local function a() {outer}\nreturn function() {inner}\nreturn function() {uses} return la_user_note end end end f = type print(a()()())"


@pytest.mark.parametrize(("target", "limit"), [("luau", 200), ("lua51", 60)])
def test_a_function_that_captures_too_much_to_read_one_is_refused_with_its_line(target: str, limit: int) -> None:
    assert run_luau(started(capturing(limit - 1), target=target)).output == "note"
    assert faults(capturing(limit), target=target, client=True) == [
        f"3: This function captures {limit} variables already and cannot read la_user_note too"
    ]
