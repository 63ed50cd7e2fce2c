"""Files encrypted in the format of age (age-encryption.org/v1), to recipients or to a passphrase; `age` itself reads and writes the same.

Knows nothing of what is in them. The library is an extra: MissingExtraError is raised where it is not installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from moonlatch.extras import needing

MOST_BYTES_WITH_PASSPHRASE = 2**30
"""The library takes a file that has a passphrase in one piece, in memory. One for a recipient may have any size."""

_FIRST_LINE = b"age-encryption.org/v1\n"
_PASSPHRASE_STANZA = b"-> scrypt "


class AgeError(Exception):
    """A file, recipient, identity or passphrase is not what it should be; the message says what to do."""


def is_encrypted(file: Path) -> bool:
    """Return whether a file is one of age's. Raises OSError."""
    return _head(file).startswith(_FIRST_LINE)


def has_passphrase(file: Path) -> bool:
    """Return whether an encrypted file is opened by a passphrase, rather than by an identity. Raises OSError."""
    return _head(file).startswith(_FIRST_LINE + _PASSPHRASE_STANZA)


def encrypt_to(recipients: Sequence[str], source: Path, target: Path) -> None:
    """Write a new encrypted file (mode 0600), flushed to the disk, that each recipient's identity opens.

    A recipient is `age1...`, or an SSH public key. Raises AgeError and OSError.
    """
    keys = [_recipient(text) for text in recipients]
    with needing("age"):
        import pyrage

    with source.open("rb") as reading, _new(target) as writing:
        pyrage.encrypt_io(reading, writing, keys)
        _flush(writing)


def encrypt_with(passphrase: str, source: Path, target: Path) -> None:
    """As `encrypt_to`, for who knows the passphrase."""
    with needing("age"):
        import pyrage

    if source.stat().st_size > MOST_BYTES_WITH_PASSPHRASE:
        raise AgeError(
            f"more than {MOST_BYTES_WITH_PASSPHRASE:,} bytes cannot be encrypted to a passphrase: name a recipient"
        )
    with _new(target) as writing:
        writing.write(pyrage.passphrase.encrypt(source.read_bytes(), passphrase))
        _flush(writing)


def decrypt_by(identity_file: Path, source: Path, target: Path) -> None:
    """Write what an encrypted file holds into a new one (mode 0600). Raises AgeError and OSError; `target` is then of no use."""
    identities = _identities(identity_file)
    with needing("age"):
        import pyrage

    with source.open("rb") as reading, _new(target) as writing:
        try:
            pyrage.decrypt_io(reading, writing, identities)
        except pyrage.DecryptError as error:
            raise AgeError(f"{source} cannot be decrypted with {identity_file}: {error}") from None
        except OSError as error:
            if error.errno is not None:  # the disk's, not the library's own
                raise
            raise AgeError(f"{source} is damaged: {error}") from None


def decrypt_with(passphrase: str, source: Path, target: Path) -> None:
    """As `decrypt_by`, with the passphrase."""
    with needing("age"):
        import pyrage

    if source.stat().st_size > 2 * MOST_BYTES_WITH_PASSPHRASE:
        raise AgeError(
            f"{source} is too large to be decrypted in one piece: decrypt it with `age`, then restore the result"
        )
    with _new(target) as writing:
        try:
            writing.write(pyrage.passphrase.decrypt(source.read_bytes(), passphrase))
        except pyrage.DecryptError as error:
            raise AgeError(f"{source} cannot be decrypted with this passphrase, or is damaged: {error}") from None


def _recipient(text: str) -> Any:
    with needing("age"):
        import pyrage

    kinds: tuple[Callable[[str], Any], ...] = (pyrage.x25519.Recipient.from_str, pyrage.ssh.Recipient.from_str)
    for read in kinds:
        try:
            return read(text)
        except pyrage.RecipientError:
            continue
    raise AgeError(f"{text!r} is not a recipient: give one like age1..., or an SSH public key like `ssh-ed25519 ...`")


def _identities(file: Path) -> list[Any]:
    """Those of a file as `age-keygen` writes it, or of an SSH private key. Raises AgeError and OSError."""
    with needing("age"):
        import pyrage

    content = file.read_bytes()
    try:
        if b"PRIVATE KEY-----" in content:
            return [pyrage.ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode().splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (pyrage.IdentityError, ValueError) as error:
        raise AgeError(f"{file} is not a file of identities: {error}") from None
    if not found:
        raise AgeError(f"{file} holds no identity: `age-keygen` writes such a file")
    return found


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(len(_FIRST_LINE) + len(_PASSPHRASE_STANZA))


def _new(file: Path) -> IO[bytes]:
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _flush(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())
