"""Passkeys (WebAuthn): the one user of the library that knows them. Bytes in, bytes out; keeps nothing."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import webauthn
from webauthn.helpers import options_to_json, parse_authentication_credential_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,  # Windows Hello
]
_CHALLENGE_BYTES = 32
_MAX_CREDENTIAL_ID = 1023
"""WebAuthn section 7.1, step 25; no database keeps an index of ids of any length."""


class BadPasskeyError(Exception):
    """What the browser sent proves nothing."""


@dataclass(frozen=True, slots=True)
class Site:
    """Whom passkeys are made for: the host that they are bound to, and the origin that browsers say they are on."""

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A passkey that a browser made. `public_key` in COSE form."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


def new_challenge() -> bytes:
    """A fresh challenge, 32 random bytes."""
    return secrets.token_bytes(_CHALLENGE_BYTES)


def creation_options(
    site: Site, *, member_id: str, sign_in_name: str, name: str, challenge: bytes, known: Sequence[bytes]
) -> dict[str, Any]:
    """What `navigator.credentials.create` takes, as JSON; `known` are the credential ids that the member has already."""
    options = webauthn.generate_registration_options(
        rp_id=site.rp_id,
        rp_name="Moonlatch",
        user_id=member_id.encode(),
        user_name=sign_in_name,
        user_display_name=name,
        challenge=challenge,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in known],
        supported_pub_key_algs=ALGORITHMS,
    )
    found: dict[str, Any] = json.loads(options_to_json(options))
    return found


def request_options(site: Site, challenge: bytes) -> dict[str, Any]:
    """What `navigator.credentials.get` takes, as JSON; it names nobody: the browser offers what it has for this site."""
    options = webauthn.generate_authentication_options(
        rp_id=site.rp_id, challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
    )
    found: dict[str, Any] = json.loads(options_to_json(options))
    return found


def registered(site: Site, credential: dict[str, Any], challenge: bytes) -> NewPasskey:
    """The passkey of a browser's answer to `creation_options`. Raises BadPasskeyError."""
    try:
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
    except Exception as error:  # of the many parsers behind it, each has errors of its own
        raise BadPasskeyError(str(error)) from None
    if len(verified.credential_id) > _MAX_CREDENTIAL_ID:
        raise BadPasskeyError(f"its id has more than {_MAX_CREDENTIAL_ID} bytes")
    return NewPasskey(verified.credential_id, verified.credential_public_key, verified.sign_count)


def credential_id_of(credential: dict[str, Any]) -> bytes:
    """Which passkey a browser answers with. Raises BadPasskeyError."""
    try:
        text = credential["id"]
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (KeyError, TypeError, ValueError) as error:
        raise BadPasskeyError(str(error)) from None


def proven(
    site: Site, credential: dict[str, Any], challenge: bytes, *, member_id: str, public_key: bytes, sign_count: int
) -> int:
    """The new sign count of a member's passkey that answered `request_options`. Raises BadPasskeyError, also for a copied one."""
    try:
        handle = parse_authentication_credential_json(credential).response.user_handle
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except Exception as error:  # as above
        raise BadPasskeyError(str(error)) from None
    if handle != member_id.encode():  # WebAuthn section 7.2, step 6: nobody was named, so the device must
        raise BadPasskeyError("it is somebody else's")
    return verified.new_sign_count
