"""What the migration `keys_at_rest` makes of rows from before it: keys in clear become hashes and sealed keys.

Knows the columns of that moment; engines run it (`storage/rewriting.py`), some rows at a time.
"""

from __future__ import annotations

from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.keyring import Keyring
from moonlatch.storage.rewriting import Rewrite
from moonlatch.storage.user_keys import as_stored

_COLUMNS = ("key_hash", "key_sealed", "start_code", "end_code")


def _user(keyring: Keyring, row: tuple[Any, ...]) -> tuple[Any, ...]:
    user_id, project_id, key = row
    stored = as_stored(keyring, key, user_id=user_id, project_id=project_id)
    return (*(stored[name] for name in _COLUMNS), user_id)


def _removed_user(keyring: Keyring, row: tuple[Any, ...]) -> tuple[Any, ...]:
    project_id, key, text = row
    record = msgspec.json.decode(text, type=dict[str, Any])
    del record["key"]
    user_id = record.setdefault("id", crypto.new_id())
    record |= as_stored(keyring, key, user_id=user_id, project_id=project_id)
    return record["key_hash"], msgspec.json.encode(record).decode(), project_id, key


def _request(keyring: Keyring, row: tuple[Any, ...]) -> tuple[Any, ...]:
    account_id, key, request_hash = row
    return keyring.request_hash(bytes(request_hash)), account_id, key


KEYS_AT_REST = (
    Rewrite(
        table="users",
        what="users",
        count="select count(*) from users where key_hash is null",
        select="select id, project_id, key from users where key_hash is null and id > :after order by id limit :most",
        place=("id",),
        update="update users set key_hash = :key_hash, key_sealed = :key_sealed, start_code = :start_code, "
        "end_code = :end_code where id = :id",
        made=_user,
    ),
    Rewrite(
        table="removed_users",
        what="removed users",
        count="select count(*) from removed_users where key_hash is null",
        select="select project_id, key, record from removed_users where key_hash is null "
        "and (project_id, key) > (:after, :after_key) order by project_id, key limit :most",
        place=("project_id", "key"),
        update="update removed_users set key_hash = :key_hash, sealed_record = :record "
        "where project_id = :project_id and key = :key",
        made=_removed_user,
    ),
    Rewrite(
        table="idempotency_records",
        what="answers",
        count="select count(*) from idempotency_records where keyed_hash is null",
        select="select account_id, key, request_hash from idempotency_records where keyed_hash is null "
        "and (account_id, key) > (:after, :after_key) order by account_id, key limit :most",
        place=("account_id", "key"),
        update="update idempotency_records set keyed_hash = :keyed_hash where account_id = :account_id and key = :key",
        made=_request,
    ),
)
