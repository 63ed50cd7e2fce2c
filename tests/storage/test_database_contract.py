"""What every engine behind `storage.interface` must do. A new engine joins in `support.database`."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moonlatch.storage.interface import Database, Query, StorageError, Transaction, UniqueViolation, parameter_names
from support.accounts import (
    ACCOUNT_IDS,
    ADD_ACCOUNT,
    CLAIM,
    REMOVE_ACCOUNT,
    SET_USED,
    USED,
    USER,
    USER_IDS,
    account_ids,
    add_account,
    add_project,
    add_user,
    insert_user,
    used,
)
from support.database import ENGINES, asked, engine_url, opened_at

RAISE_USED = Query(
    "test.raise_used",
    "update accounts set obfuscations_used = :used where id = :id and obfuscations_used < :used",
)
RETURNING = Query("test.returning", "update accounts set tier = 'pro' returning id")


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with engine_url(request, request.param) as address:
        yield address


@pytest.fixture
async def database(url: str, tmp_path: Path) -> AsyncIterator[Database]:
    async with opened_at(url, tmp_path) as fresh:
        yield fresh


@pytest.fixture
async def account(database: Database) -> str:
    await add_account(database, "ann")
    return "ann"


@pytest.fixture
async def project(database: Database, account: str) -> str:
    await add_project(database, "shop", account_id=account)
    return "shop"


class Refused(Exception):
    """What a unit of business code raises to take everything back."""


async def test_a_row_is_read_by_name_by_position_and_in_column_order(database: Database, account: str):
    row = await database.fetch_one(Query("test.row", "select id, tier, created_at from accounts"))

    assert (row["id"], row["tier"]) == ("ann", "free")
    assert (row[0], row[2]) == ("ann", 1)
    assert tuple(row) == ("ann", "free", 1)
    assert len(row) == 3


async def test_many_askers_of_a_hot_question_each_get_their_own_answer(database: Database, project: str):
    for number in range(0, 100, 2):
        await add_user(database, f"key-{number}", project_id=project, note=f"of {number}" if number % 4 else None)
    hot = Query("test.hot", "select note, id, note as again from users where id = :id limit 1", is_hot=True)

    rows = await asyncio.gather(*(asked(database, hot, f"key-{number}") for number in range(100)))

    for number, row in enumerate(rows):
        note = f"of {number}" if number % 4 else None
        assert row == (None if number % 2 else (note, f"key-{number}", note))


async def test_a_hot_questions_values_are_numbered_as_they_are_first_named(database: Database, project: str):
    await add_user(database, "key", project_id=project)
    hot = Query(
        "test.hot", "select :first, id, :second from users where project_id = :third and id = :second", is_hot=True
    )

    assert await asked(database, hot, "1", "key", project) == ("1", "key", "key")


async def test_a_hot_question_that_nobody_can_answer_harms_no_other_asker(database: Database, project: str):
    await add_user(database, "key-1", project_id=project)
    hot = Query("test.hot", "select id from users where id = :id", is_hot=True)

    answers = await asyncio.gather(
        *(asked(database, hot, key) for key in ("key-1", "\ud800", "key-2", "key-1")), return_exceptions=True
    )

    assert [answers[0], answers[2], answers[3]] == [("key-1",), None, ("key-1",)]
    assert isinstance(answers[1], StorageError)


async def test_fetch_one_gives_none_when_nothing_matches(database: Database):
    assert await database.fetch_one(USED, id="nobody") is None


async def test_fetch_all_gives_every_row_and_an_empty_list_for_none(database: Database):
    assert await account_ids(database) == []
    for name in ("ann", "bob", "eve"):
        await add_account(database, name)

    assert await account_ids(database) == ["ann", "bob", "eve"]


async def test_run_gives_the_units_result(database: Database, account: str):
    async def unit(tx: Transaction) -> tuple[str, int]:
        row = await tx.fetch_one(USED, id="ann")
        return "used", row["obfuscations_used"]

    assert await database.run(unit) == ("used", 0)


async def test_a_committed_write_is_read_at_once(database: Database, account: str):
    for number in range(1, 20):
        await database.run(lambda tx, number=number: tx.execute(SET_USED, id="ann", used=number))

        assert await used(database, "ann") == number


async def test_a_unit_reads_its_own_writes_before_they_are_committed(database: Database):
    async def unit(tx: Transaction) -> list[str]:
        await tx.execute(ADD_ACCOUNT, id="ann", name="ann")
        return [row["id"] for row in await tx.fetch_all(ACCOUNT_IDS)]

    assert await database.run(unit) == ["ann"]


async def test_execute_counts_the_changed_rows(database: Database, account: str):
    async def unit(tx: Transaction) -> tuple[int, int, int]:
        return (
            await tx.execute(SET_USED, id="ann", used=3),
            await tx.execute(SET_USED, id="nobody", used=3),
            await tx.execute(
                Query(
                    "test.with",
                    "with named as (select id from accounts) update accounts set obfuscations_used = 4"
                    " where id in (select id from named)",
                )
            ),
        )

    assert await database.run(unit) == (1, 0, 1)


async def test_returning_gives_the_changed_rows(database: Database, account: str):
    async def unit(tx: Transaction) -> str:
        row = await tx.fetch_one(RETURNING)
        return row["id"]

    assert await database.run(unit) == "ann"


async def test_taking_one_of_many_returned_rows_still_changes_them_all(database: Database):
    for name in ("ann", "bob", "eve"):
        await add_account(database, name)

    await database.run(lambda tx: tx.fetch_one(RETURNING))

    rows = await database.fetch_all(Query("test.tiers", "select tier from accounts"))
    assert [row["tier"] for row in rows] == ["pro", "pro", "pro"]


async def test_a_unit_that_raises_changes_nothing_and_its_exception_comes_back(database: Database, account: str):
    refusal = Refused("no")

    async def unit(tx: Transaction) -> None:
        await tx.execute(SET_USED, id="ann", used=7)
        await tx.execute(ADD_ACCOUNT, id="bob", name="bob")
        raise refusal

    with pytest.raises(Refused) as caught:
        await database.run(unit)

    assert caught.value is refusal
    assert await used(database, "ann") == 0
    assert await account_ids(database) == ["ann"]


async def test_a_unit_that_raises_does_not_harm_the_units_beside_it(database: Database):
    async def unit(tx: Transaction, number: int) -> int:
        await tx.execute(ADD_ACCOUNT, id=f"{number:02}", name=f"{number:02}")
        if number % 3 == 0:
            raise Refused(number)
        return number

    outcomes = await asyncio.gather(
        *(database.run(lambda tx, n=number: unit(tx, n)) for number in range(30)), return_exceptions=True
    )

    kept = [number for number in range(30) if number % 3]
    assert [outcome for outcome in outcomes if isinstance(outcome, int)] == kept
    assert [outcome.args[0] for outcome in outcomes if isinstance(outcome, Refused)] == list(range(0, 30, 3))
    assert await account_ids(database) == [f"{number:02}" for number in kept]


async def test_a_value_that_is_there_already_is_a_unique_violation_naming_the_columns(database: Database, project: str):
    await add_user(database, "key-1", project_id=project, discord_id="42")

    with pytest.raises(UniqueViolation) as taken:
        await add_user(database, "key-2", project_id=project, discord_id="42")
    with pytest.raises(UniqueViolation) as same_key:
        await add_user(database, "key-1", project_id=project, id="another")

    assert taken.value.constraint == "users.project_id, users.discord_id"
    assert same_key.value.constraint == "users.key_hash"


async def test_on_conflict_do_nothing_is_no_violation(database: Database, account: str):
    query = Query("test.upsert", ADD_ACCOUNT.sql + " on conflict (id) do nothing")

    assert await database.run(lambda tx: tx.execute(query, id="ann", name="ann")) == 0


async def test_a_unit_that_hides_a_failed_statement_is_not_committed(database: Database, account: str):
    async def unit(tx: Transaction) -> str:
        await tx.execute(SET_USED, id="ann", used=7)
        try:
            await tx.execute(ADD_ACCOUNT, id="ann", name="ann")
        except UniqueViolation:
            return "carried on"
        return "added"

    with pytest.raises(UniqueViolation):
        await database.run(unit)

    assert await used(database, "ann") == 0


async def test_after_a_failed_statement_the_transaction_refuses_others(database: Database, account: str):
    async def unit(tx: Transaction) -> None:
        try:
            await tx.execute(ADD_ACCOUNT, id="ann", name="ann")
        except UniqueViolation:
            await tx.execute(SET_USED, id="ann", used=7)

    with pytest.raises(StorageError, match="ended"):
        await database.run(unit)

    assert await used(database, "ann") == 0


async def test_a_transaction_is_of_no_use_after_its_unit(database: Database, account: str):
    kept: list[Transaction] = []

    async def unit(tx: Transaction) -> None:
        kept.append(tx)

    await database.run(unit)

    with pytest.raises(StorageError):
        await kept[0].execute(SET_USED, id="ann", used=7)
    assert await used(database, "ann") == 0


async def test_a_missing_parent_is_refused(database: Database):
    with pytest.raises(StorageError):
        await add_project(database, "shop", account_id="nobody")


async def test_removing_a_parent_removes_its_children(database: Database, project: str):
    await add_user(database, "key-1", project_id=project)

    await database.run(lambda tx: tx.execute(REMOVE_ACCOUNT, id="ann"))

    assert await database.fetch_all(USER_IDS) == []


async def test_a_mistaken_query_is_a_storage_error_wherever_it_runs(database: Database):
    mistaken = Query("test.mistaken", "select nothing from nowhere")

    for attempt in (
        lambda: database.fetch_one(mistaken),
        lambda: database.fetch_all(mistaken),
        lambda: database.run(lambda tx: tx.fetch_one(mistaken)),
        lambda: database.run(lambda tx: tx.fetch_all(mistaken)),
        lambda: database.run(lambda tx: tx.execute(mistaken)),
        lambda: database.fetch_one(USED),
    ):
        with pytest.raises(StorageError):
            await attempt()


async def test_reads_outside_a_transaction_cannot_write(database: Database, account: str):
    with pytest.raises(StorageError):
        await database.fetch_all(RETURNING)

    assert await database.fetch_one(Query("test.pro", "select 1 from accounts where tier = 'pro'")) is None


@pytest.mark.parametrize(
    "note", ["", "plain", "Grüße, 世界 🌙", "e\u0301", "line\nbreak\ttab", "'; drop table users; --", "x" * 100_000]
)
async def test_text_comes_back_as_it_was(database: Database, project: str, note: str):
    await add_user(database, "key-1", project_id=project, note=note)

    row = await database.fetch_one(USER, id="key-1")

    assert row["note"] == note


@pytest.mark.parametrize("fingerprint", [b"", b"\x00\xff" * 16, bytes(range(256)), b"12345", b"\x00" * 8_000_000])
async def test_bytes_come_back_as_they_were(database: Database, project: str, fingerprint: bytes):
    await add_user(database, "key-1", project_id=project, fingerprint=fingerprint)

    row = await database.fetch_one(USER, id="key-1")

    assert row["fingerprint"] == fingerprint
    assert isinstance(row["fingerprint"], bytes)


@pytest.mark.parametrize("number", [0, -1, 2**31, 2**53, 2**63 - 1, -(2**63)])
async def test_integers_of_64_bits_come_back_exactly(database: Database, project: str, number: int):
    await add_user(database, "key-1", project_id=project, key_expires=number)

    row = await database.fetch_one(USER, id="key-1")

    assert row["key_expires"] == number


async def test_null_comes_back_as_none(database: Database, project: str):
    await add_user(database, "key-1", project_id=project)

    row = await database.fetch_one(USER, id="key-1")

    assert (row["note"], row["key_expires"], row["fingerprint"]) == (None, None, None)


@pytest.mark.parametrize("flag", [True, False])
async def test_booleans_are_stored_compared_and_tested_by_themselves(database: Database, project: str, flag: bool):
    await add_user(database, "key-1", project_id=project, fingerprintless=flag)

    row = await database.fetch_one(USER, id="key-1")
    tested = await database.fetch_all(Query("test.flag", "select id from users where fingerprintless"))
    compared = await database.fetch_all(
        Query("test.flags", "select id from users where fingerprintless = :flag"), flag=flag
    )

    assert bool(row["fingerprintless"]) is flag
    assert len(tested) == int(flag)
    assert len(compared) == 1


@pytest.mark.parametrize("value", [2**63, "\ud800", object()])
async def test_a_value_no_database_can_hold_is_a_storage_error_and_harms_nobody_else(
    database: Database, account: str, value: object
):
    async def unit(tx: Transaction) -> None:
        await tx.execute(SET_USED, id="ann", used=5)
        await tx.execute(ADD_ACCOUNT, id="bob", name=value)

    broken, sound = await asyncio.gather(
        database.run(unit),
        database.run(lambda tx: tx.execute(ADD_ACCOUNT, id="eve", name="eve")),
        return_exceptions=True,
    )

    assert isinstance(broken, StorageError)
    assert sound == 1
    assert await account_ids(database) == ["ann", "eve"]
    assert await used(database, "ann") == 0


async def test_concurrent_units_see_each_other_whole_or_not_at_all(database: Database, account: str):
    async def increment(tx: Transaction) -> None:
        row = await tx.fetch_one(USED, id="ann")
        await tx.execute(SET_USED, id="ann", used=row["obfuscations_used"] + 1)

    await asyncio.gather(*(database.run(increment) for _ in range(50)))

    assert await used(database, "ann") == 50


@pytest.mark.parametrize("places", [0, 1, 10, 63])
async def test_of_64_callers_for_k_places_exactly_k_win(database: Database, account: str, places: int):
    claims = await asyncio.gather(
        *(database.run(lambda tx: tx.execute(CLAIM, id="ann", places=places)) for _ in range(64))
    )

    assert sum(claims) == places
    assert await used(database, "ann") == places


async def test_readers_never_see_half_a_unit(database: Database, account: str):
    await add_project(database, "shop", account_id="ann")
    writing = True

    async def write() -> None:
        nonlocal writing
        for number in range(40):

            async def pair(tx: Transaction, number: int = number) -> None:
                await insert_user(tx, f"{number:02}-a", project_id="shop")
                await insert_user(tx, f"{number:02}-b", project_id="shop")

            await database.run(pair)
        writing = False

    async def read() -> int:
        reads = 0
        while writing:
            assert len(await database.fetch_all(USER_IDS)) % 2 == 0
            reads += 1
            await asyncio.sleep(0)
        return reads

    _, reads = await asyncio.gather(write(), read())
    assert reads > 0
    assert len(await database.fetch_all(USER_IDS)) == 80


async def test_a_caller_without_a_task_is_answered(database: Database, account: str):
    """A request that is answered where it is parsed has none, and what it waits for is done in anybody's."""
    ended = asyncio.get_running_loop().create_future()

    async def everything() -> list[object]:
        return [
            await database.fetch_one(USED, id="ann"),
            await database.fetch_all(ACCOUNT_IDS),
            await database.search(ACCOUNT_IDS),
            await database.run(lambda tx: tx.execute(SET_USED, id="ann", used=1)),
            await database.run(lambda tx: tx.execute(SET_USED, id="ann", used=2), is_guarded=True),
        ]

    work = everything()

    def go_on(_: object = None) -> None:
        try:
            waited_for = work.send(None)
        except StopIteration as done:
            ended.set_result(done.value)
        except BaseException as error:
            ended.set_exception(error)
        else:
            waited_for._asyncio_future_blocking = False
            waited_for.add_done_callback(go_on)

    asyncio.get_running_loop().call_soon(go_on)
    one, every, found, *changed = await ended
    assert tuple(one) == (0,)
    assert [tuple(row) for row in every] == [tuple(row) for row in found] == [("ann",)]
    assert changed == [1, 1]
    assert await used(database, "ann") == 2


async def test_a_cancelled_caller_leaves_a_whole_write_or_none_and_a_sound_database(database: Database):
    async def pair(tx: Transaction, number: int) -> None:
        await tx.execute(ADD_ACCOUNT, id=f"{number:03}-a", name=f"{number:03}-a")
        await tx.execute(ADD_ACCOUNT, id=f"{number:03}-b", name=f"{number:03}-b")

    tasks = [asyncio.create_task(database.run(lambda tx, n=number: pair(tx, n))) for number in range(200)]
    for round_number, task in enumerate(tasks):
        if round_number % 2:
            task.cancel()
        if round_number % 10 == 0:
            await asyncio.sleep(0.0005)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    stored = set(await account_ids(database))
    for number, outcome in enumerate(outcomes):
        halves = {f"{number:03}-a", f"{number:03}-b"} & stored
        assert len(halves) == 2 or (len(halves) == 0 and isinstance(outcome, asyncio.CancelledError))
    await add_account(database, "afterwards")
    assert "afterwards" in await account_ids(database)


async def test_closing_finishes_the_writes_that_wait(database: Database):
    tasks = [asyncio.create_task(add_account(database, f"{number:03}")) for number in range(300)]
    await asyncio.sleep(0)
    await database.close()

    await asyncio.gather(*tasks)
    with pytest.raises(StorageError):
        await add_account(database, "too late")
    with pytest.raises(StorageError):
        await account_ids(database)


async def test_a_statement_for_many_rows_may_name_a_parameter_twice(database: Database, account: str):
    await database.run(lambda tx: tx.execute_each(RAISE_USED, [(3, "ann"), (2, "ann"), (4, "nobody")]))

    assert await used(database, "ann") == 3


def test_what_has_places_for_values_has_no_names():
    """Named and numbered ones are not to be had with a sequence, says Python 3.12, or only from 3.12.4 on."""
    assert RAISE_USED.positional.count("?") == 3
    assert re.search(r"[:?$@]\w", RAISE_USED.positional) is None
    assert RAISE_USED.in_places((3, "ann")) == (3, "ann", 3)


async def test_a_statement_for_many_rows_tells_what_each_of_them_changed(database: Database, account: str):
    async def unit(tx: Transaction) -> list[int]:
        names = parameter_names(SET_USED.sql)
        rows = [{"id": "ann", "used": 3}, {"id": "nobody", "used": 4}, {"id": "ann", "used": 5}]
        return await tx.execute_each(SET_USED, [tuple(row[name] for name in names) for row in rows])

    assert await database.run(unit) == [1, 0, 1]
    assert await used(database, "ann") == 5
