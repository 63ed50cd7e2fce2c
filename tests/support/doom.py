"""Changes that fail at their very end: the database refuses the record of a doomed idempotency key."""

from __future__ import annotations

from moonlatch.storage.interface import Query, Transaction
from support.management import Api

DOOMED = "doomed"
"""How keys begin that are doomed."""

_TABLE = "create table if not exists doomed_keys (key text)"
_IS_DOOMED = "exists (select 1 from doomed_keys d where d.key = new.key)"
_BODY = f"'begin if {_IS_DOOMED} then raise exception ''doomed''; end if; return new; end'"
_DOOM = {
    "sqlite": (
        _TABLE,
        f"create trigger if not exists doom before insert on idempotency_records when {_IS_DOOMED} begin select raise(abort, ''); end",
    ),
    "postgres": (
        _TABLE,
        f"create or replace function doom() returns trigger language plpgsql as {_BODY}",
        "create or replace trigger doom before insert on idempotency_records for each row execute function doom()",
    ),
}


async def write_doom(api: Api) -> None:
    """From now on such changes are broken off."""

    async def unit(tx: Transaction) -> None:
        for sql in _DOOM[api.engine]:
            await tx.fetch_all(Query("test.doom", sql))

    await api.database.run(unit)


async def doom(api: Api, account_id: str, key: str) -> None:
    """Have an account's call with this key fail."""
    hashed = api.keyring.fingerprint(account_id, "idempotency key", key).hex()
    await api.change("insert into doomed_keys (key) values (:key)", key=hashed)
