"""Changes that fail at their very end: the database refuses the record of an idempotency key that begins so."""

from __future__ import annotations

from moonlatch.storage.interface import Query, Transaction
from support.management import Api

DOOMED = "doomed"
_IS_DOOMED = f"new.key like '{DOOMED}%'"
_DOOM = {
    "sqlite": (
        f"create trigger if not exists doom before insert on idempotency_records when {_IS_DOOMED} begin select raise(abort, ''); end",
    ),
    "postgres": (
        "create or replace function doom() returns trigger language plpgsql as 'begin raise exception ''doomed''; end'",
        f"create or replace trigger doom before insert on idempotency_records for each row when ({_IS_DOOMED}) execute function doom()",
    ),
}


async def write_doom(api: Api) -> None:
    """From now on such changes are broken off."""

    async def unit(tx: Transaction) -> None:
        for sql in _DOOM[api.engine]:
            await tx.fetch_all(Query("test.doom", sql))

    await api.database.run(unit)
