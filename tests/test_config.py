"""Settings: where they come from, who wins, and how a wrong one is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.config import InvalidSettingsError, Settings, load_settings, load_with_origins
from moonlatch.config.reference import describe_settings, setting_values, settings_table
from moonlatch.config.sections import Section
from moonlatch.licensing.tier import BUILT_IN

REFERENCE = Path(__file__).parents[1] / "docs/reference/configuration.md"


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("MOONLATCH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write_file(text: str, path: str = "data/moonlatch.toml") -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def refusal(overrides: dict[str, object] | None = None) -> str:
    with pytest.raises(InvalidSettingsError) as refused:
        load_settings(overrides)
    return str(refused.value)


def test_without_any_configuration_everything_has_its_default() -> None:
    settings = load_settings()
    assert settings == Settings()
    assert (settings.host, settings.port, settings.default_tier) == ("127.0.0.1", 8400, "unlimited")
    assert settings.tiers == dict(BUILT_IN)


def test_the_command_line_wins_over_variables_and_those_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write_file('host = "file"\nport = 1\n[protector]\nworkers = 3\n[log]\nlevel = "error"')
    monkeypatch.setenv("MOONLATCH_PORT", "2")
    monkeypatch.setenv("MOONLATCH_HOST", "variable")
    monkeypatch.setenv("MOONLATCH_PROTECTOR__WORKERS", "4")
    loaded = load_with_origins({"port": 5, "host": None})
    settings = loaded.settings
    assert (settings.port, settings.host, settings.protector.workers, settings.log.level) == (5, "variable", 4, "error")
    assert loaded.origin("port") == "command line"
    assert loaded.origin("host") == "variable MOONLATCH_HOST"
    assert loaded.origin("protector.workers") == "variable MOONLATCH_PROTECTOR__WORKERS"
    assert loaded.origin("log.level") == "data/moonlatch.toml, key log.level"
    assert loaded.origin("public_url") == "default"


def test_the_file_is_looked_for_in_the_data_folder_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    write_file("port = 1", "one/moonlatch.toml")
    write_file("port = 2", "two/moonlatch.toml")
    monkeypatch.setenv("MOONLATCH_DATA_DIR", "one")
    assert load_settings().port == 1
    assert load_settings({"data_dir": Path("two")}).port == 2


def test_a_named_file_is_read_instead_and_may_say_where_the_data_is(monkeypatch: pytest.MonkeyPatch) -> None:
    write_file("port = 1")
    monkeypatch.setenv("MOONLATCH_CONFIG", str(write_file('port = 2\ndata_dir = "elsewhere"', "my.toml")))
    settings = load_settings()
    assert (settings.port, settings.data_dir) == (2, Path("elsewhere"))


def test_a_named_file_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLATCH_CONFIG", "missing.toml")
    assert "missing.toml  (named by MOONLATCH_CONFIG)\n    there is no such file" in refusal()


def test_a_file_in_the_data_folder_cannot_move_the_data_folder() -> None:
    write_file('data_dir = "elsewhere"')
    assert "set MOONLATCH_DATA_DIR or --data" in refusal()


def test_a_file_that_is_not_toml_is_refused_with_the_place() -> None:
    write_file("port = \nhost = 1")
    assert "data/moonlatch.toml" in refusal()
    assert "is not valid TOML: Invalid value (at line 1, column 8)" in refusal()


def test_every_wrong_setting_is_named_at_once_with_its_value_its_place_and_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_file("prt = 1\n[protector]\nworkers = 0\n[client]\nheartbeat_second = 30\n[tiers.gold]\nusers = -1\nusrs = 2")
    monkeypatch.setenv("MOONLATCH_PUBLIC_URL", "ftp://example.com")
    monkeypatch.setenv("MOONLATCH_LOGG__LEVEL", "info")
    monkeypatch.setenv("MOONLATCH_LOG__LEVEL", "loud")
    message = refusal({"port": 70_000})
    for expected in (
        "9 settings are not valid",
        "prt = 1  (data/moonlatch.toml, key prt)\n    no setting has this name; did you mean port?",
        "protector.workers = 0  (data/moonlatch.toml, key protector.workers)\n    should be 1 to 64\n",
        "client.heartbeat_second = 30  (data/moonlatch.toml, key client.heartbeat_second)\n    no setting has this name; did",
        "tiers.gold.users = -1  (data/moonlatch.toml, key tiers.gold.users)",
        "tiers.gold.usrs = 2  (data/moonlatch.toml, key tiers.gold.usrs)\n    no setting has this name",
        "public_url = 'ftp://example.com'  (variable MOONLATCH_PUBLIC_URL)\n    should look like https://",
        "MOONLATCH_LOGG__LEVEL  (environment)\n    no setting has this name; did you mean MOONLATCH_LOG__LEVEL?",
        'log.level = \'loud\'  (variable MOONLATCH_LOG__LEVEL)\n    should be one of "debug", "info", "warning", "error"\n',
        "docs/reference/configuration.md lists every setting",
    ):
        assert expected in message
    assert "port = 70000  (command line)" in message


def test_a_section_given_as_broken_json_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLATCH_PROTECTOR", "{workers")
    assert (
        "protector = '{workers'  (variable MOONLATCH_PROTECTOR)\n    a whole section in one variable should be"
        in refusal()
    )
    assert "set each by its own, like MOONLATCH_PROTECTOR__WORKERS\n" in refusal()


ODD_VALUES = [-1, 0, 1.5, 10**30, True, "many", "", "x" * 3_000, "a b", [], ["here"], {"x": 1}, {}]
THEIR_WORDS = re.compile(
    r"[Ii]nput|instance|\bparse|\bliteral|constraint|dictionary|tuple|finite|\bvalid\b|Value error"
)


@pytest.mark.parametrize("path", [one.path.replace("NAME", "gold") for one in describe_settings()])
def test_what_is_wrong_with_a_setting_is_said_in_our_words(path: str) -> None:
    """The library's own sentences speak of its types, which nobody who writes a settings file knows."""
    said = set()
    for value in ODD_VALUES:
        given: Any = value
        for name in reversed(path.split(".")):
            given = {name: given}
        try:
            load_settings(given)
        except InvalidSettingsError as refused:
            said |= {problem.reason for problem in refused.problems}
    assert said
    assert [reason for reason in said if THEIR_WORDS.search(reason) or reason[0].isupper()] == []


@pytest.mark.parametrize(
    "section", [name for name, one in Settings.model_fields.items() if isinstance(one.default, Section)]
)
def test_a_value_in_place_of_a_section_is_told_how_a_section_looks(section: str) -> None:
    assert f"is a section: name the settings in it, like `[{section}]` in the file" in refusal({section: 5})


def test_a_value_where_a_section_belongs_is_refused() -> None:
    write_file("protector = 5\ntiers = 3")
    message = refusal()
    assert "protector = 5  (data/moonlatch.toml, key protector)" in message
    assert "tiers = 3  (data/moonlatch.toml, key tiers)" in message


def test_the_variables_of_the_push_command_are_no_unknown_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", "ml_secret")
    monkeypatch.setenv("MOONLATCH_URL", "http://127.0.0.1:8400")
    assert load_settings() == Settings()


def test_a_tier_of_ones_own_has_no_limit_it_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    write_file('default_tier = "gold"\n[tiers.gold]\nusers = 5\nfree_for_all = false')
    monkeypatch.setenv("MOONLATCH_TIERS__GOLD__SCRIPTS", "7")
    gold = load_settings().tiers["gold"]
    assert (gold.name, gold.users, gold.scripts, gold.projects, gold.free_for_all) == ("gold", 5, 7, None, False)


def test_a_built_in_tier_keeps_what_is_not_overridden() -> None:
    write_file('[tiers.free]\nusers = "unlimited"\nscripts = 4')
    free = load_settings().tiers["free"]
    assert (free.users, free.scripts, free.projects, free.free_for_all) == (None, 4, 1, False)


def test_a_default_tier_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLATCH_DEFAULT_TIER", "golden")
    expected = (
        "default_tier = 'golden'  (variable MOONLATCH_DEFAULT_TIER)\n    there is no such tier; there are: free, pro"
    )
    assert expected in refusal()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:8400"),
        ("0.0.0.0", "http://127.0.0.1:8400"),
        ("::", "http://[::1]:8400"),
        ("::1", "http://[::1]:8400"),
        ("example.com", "http://example.com:8400"),
    ],
)
def test_without_a_public_address_it_is_the_one_listened_on(host: str, expected: str) -> None:
    assert Settings(host=host).public_url == expected


@pytest.mark.parametrize("url", ["https://a.example/", "https://a.example/moon", "http://[2001:db8::1]:80"])
def test_a_public_address_is_kept_without_its_last_slash(url: str) -> None:
    assert Settings(public_url=url).public_url == url.rstrip("/")


@pytest.mark.parametrize("url", ["a.example", "https://a b", 'https://a"', "https://a?x=1", "https://", "https://a:b"])
def test_a_public_address_that_could_not_stand_in_a_loader_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="should look like"):
        Settings(public_url=url)


def test_proxies_in_a_variable_have_commas_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLATCH_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,::1")
    assert load_settings().trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8", "::1/128")


def test_settings_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1


def test_the_reference_page_has_exactly_the_settings_of_the_program() -> None:
    assert settings_table() in REFERENCE.read_text()


def test_every_setting_is_described_and_has_a_default() -> None:
    described = describe_settings()
    assert [one.path for one in described if not one.meaning.endswith((".", "?")) or not one.default] == []


def test_the_values_of_all_settings_can_be_shown() -> None:
    values = dict(setting_values(load_settings()))
    described = {one.path for one in describe_settings()}
    assert {path.replace("tiers.pro.", "tiers.NAME.") for path in values} >= described
    assert values["tiers.unlimited.users"] == '"unlimited"'
    assert values["protector.timeout_seconds"] == "90"


def test_a_data_folder_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "data_dir = 1  (command line)\n" in refusal({"data_dir": 1})
    monkeypatch.setenv("MOONLATCH_DATA_DIR", "~nobody-of-that-name/data")
    assert "nobody here has the home folder '~nobody-of-that-name'" in refusal()
    monkeypatch.setenv("MOONLATCH_CONFIG", "~nobody-of-that-name/my.toml")
    assert "(named by MOONLATCH_CONFIG)\n    there is no such file" in refusal()


NAMES = st.one_of(st.sampled_from(sorted(Settings.model_fields)), st.text(max_size=8))


@given(st.dictionaries(NAMES, st.one_of(st.integers(), st.text(max_size=5), st.booleans()), min_size=1))
def test_any_settings_either_hold_or_are_refused_with_a_reason(values: dict[str, object]) -> None:
    problems = []
    try:
        load_settings(values)
    except InvalidSettingsError as refused:
        problems = refused.problems
    known = set(Settings.model_fields)
    assert [path for path in values if path not in known and path not in {problem.path for problem in problems}] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "ftp://127.0.0.1/v1",
        "https://",
        "https://user@api.example.com",
        "https://a/v1?x=1",
        "",
    ],
)
def test_an_address_that_keys_should_not_be_sent_to_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MOONLATCH_LURAPH__BASE_URL", url or " ")
    assert "luraph.base_url" in refusal()
    assert "should look like https://api.example.com/v1" in refusal()


@pytest.mark.parametrize(
    "url", ["https://api.lura.ph/v1", "http://127.0.0.1:9000/v1", "http://localhost", "https://[::1]:1/x/"]
)
def test_an_address_that_is_encrypted_or_this_machine_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MOONLATCH_LURAPH__BASE_URL", url)
    assert load_settings().luraph.base_url == url.rstrip("/")
