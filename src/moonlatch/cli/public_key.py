"""`moonlatch public-key`: what clients check the installation's signatures with."""

from __future__ import annotations

from moonlatch.cli.output import CommandError, DataFolder, Json, say, write_json
from moonlatch.config import load_settings


def public_key(data: DataFolder = None, as_json: Json = False) -> None:
    """Print the line that pins this installation's key.

    It follows from the master key, stands in every loader, and is no secret. With several
    master keys the line names the key of each.
    """
    source = load_settings({"data_dir": data}).master_key
    try:
        key = " ".join(key.public_key.hex() for key in source.open(create=False).keys)
    except FileNotFoundError:
        raise CommandError(
            f"there is no master key at {source.place}",
            "Name the data folder with --data DIR, or start the server first.",
        ) from None
    except (OSError, ValueError) as error:
        raise CommandError(f"the master key cannot be read: {error}") from None
    if as_json:
        write_json({"public_key": key})
        return
    say(f'moonlatch_key = "{key}"')
