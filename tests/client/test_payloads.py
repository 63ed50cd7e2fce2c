"""The payloads kept in memory."""

from pathlib import Path

from moonlatch.client.payloads import Payloads
from moonlatch.storage.sqlite import open_sqlite
from support import rows


async def test_payloads_are_kept_up_to_a_number_of_bytes(tmp_path: Path) -> None:
    database = await open_sqlite(tmp_path / "moonlatch.db")
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project, payload=b"1" * 60)
    await rows.add_build(database, script, 2, b"2" * 60)
    payloads = Payloads(database, max_kept_bytes=100)
    assert await payloads.of(script, 1) == b"1" * 60
    assert await payloads.of(script, 2) == b"2" * 60
    assert payloads._kept_bytes == 60
    assert await payloads.of(script, 1) == b"1" * 60
    assert await payloads.of(script, 3) is None
    await database.close()
