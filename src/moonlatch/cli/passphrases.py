"""How commands get a passphrase: from a variable, for programs, or from who sits at the terminal. Never from an argument, which others see."""

from __future__ import annotations

import getpass
import os
import sys

from moonlatch.cli.output import CommandError

PASSPHRASE_VARIABLE = "MOONLATCH_BACKUP_PASSPHRASE"  # noqa: S105 -- a name
LEAST_CHARACTERS = 12


def passphrase(*, is_new: bool) -> str:
    """A backup's passphrase; a new one is asked for twice. Raises CommandError."""
    given = os.environ.get(PASSPHRASE_VARIABLE, "")
    if not given:
        if not sys.stdin.isatty():
            raise CommandError(
                "there is nobody to ask for the passphrase", f"Set the variable {PASSPHRASE_VARIABLE} to it."
            )
        given = getpass.getpass("Passphrase of the backup: ")
        if is_new and getpass.getpass("The same again: ") != given:
            raise CommandError("the two passphrases differ", "Nothing was written.")
    if is_new and len(given) < LEAST_CHARACTERS:
        raise CommandError(
            f"the passphrase has fewer than {LEAST_CHARACTERS} characters",
            "Whoever has the file can try as many as they like: take several words, or `age-keygen` and --recipient.",
        )
    return given
