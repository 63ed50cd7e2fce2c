"""The reply to a start: its fields, and what authenticates them. Written out, because the general encoding of its
eighteen values would take as long as deciding the start.
"""

from __future__ import annotations

from typing import Any

import msgspec

from moonlatch.client.replies import encode_json
from moonlatch.client.transcript import ExecuteKeys
from moonlatch.operations.sealed_payload import SealedPayload

_FLAG = ("f", "t")


class StartReply(msgspec.Struct, gc=False):
    """Everything of the reply but its payload; `variables` are all those of `licensing.variables.start_variables`."""

    success: bool
    instance: str
    nonce: str
    token: str
    heartbeat_seconds: int | None
    session: str | None
    session_required: bool
    variables: dict[str, Any]
    payload_key: str
    payload_digest: str | msgspec.UnsetType = msgspec.UNSET
    time: int | msgspec.UnsetType = msgspec.UNSET
    """The server's, in Unix milliseconds. This and the digest are for clients that check signatures."""
    lease: str | msgspec.UnsetType = msgspec.UNSET
    """For a host that keeps leases, of a script that gives them."""
    reports: bool | msgspec.UnsetType = msgspec.UNSET
    """True for a client that tells of errors, of a script whose owner wants to know."""
    run_key: str | msgspec.UnsetType = msgspec.UNSET
    """Of a build that needs one, wrapped."""
    mac: str | msgspec.UnsetType = msgspec.UNSET
    proof: str | msgspec.UnsetType = msgspec.UNSET

    def sealed(self, keys: ExecuteKeys, payload: SealedPayload) -> list[bytes]:
        """The whole reply of protocol 1 as JSON, in parts."""
        self.mac = keys.reply_mac(self.transcript())
        return self._with(payload)

    def signed(self, proof: str, payload: SealedPayload) -> list[bytes]:
        """The whole reply as JSON, in parts."""
        self.proof = proof
        return self._with(payload)

    def _with(self, payload: SealedPayload) -> list[bytes]:
        # The payload is by far the largest; base64 needs no escapes, so it goes out as it is kept.
        return [encode_json(self)[:-1] + b',"payload":"', payload.text, b'"}']

    def transcript(self) -> bytes:
        """`transcript.encode` of the reply without `payload`, `mac` and `proof`."""
        seen = self.variables
        timed, digest = self.time is not msgspec.UNSET, self.payload_digest
        told = "" if self.reports is msgspec.UNSET else f"s7:reports{_FLAG[self.reports]}"
        keyed = "" if self.run_key is msgspec.UNSET else f"s7:run_keys{len(self.run_key)}:{self.run_key}"
        leased = "" if self.lease is msgspec.UNSET else f"s5:lease{_text(self.lease)}"
        return (
            f"o{(11 if timed else 9) + bool(leased) + bool(told) + bool(keyed)};s17:heartbeat_seconds{_number(self.heartbeat_seconds)}"
            f"s8:instances{len(self.instance)}:{self.instance}"
            f"{leased}"
            f"s5:nonces{len(self.nonce)}:{self.nonce}"
            f"{f's14:payload_digests64:{digest}' if timed else ''}"
            f"s11:payload_keys{len(self.payload_key)}:{self.payload_key}"
            f"{told}{keyed}"
            f"s7:session{_text(self.session)}"
            f"s16:session_required{_FLAG[self.session_required]}"
            f"s7:success{_FLAG[self.success]}"
            f"{f's4:timei{self.time};' if timed else ''}"
            f"s5:tokens{len(self.token)}:{self.token}"
            f"s9:variableso9;"
            f"s13:la_discord_id{_text(seen['la_discord_id'])}"
            f"s13:la_executionsi{seen['la_executions']};"
            f"s9:la_exists{_FLAG[seen['la_exists']]}"
            f"s13:la_is_premium{_FLAG[seen['la_is_premium']]}"
            f"s15:la_script_buildi{seen['la_script_build']};"
            f"s14:la_script_name{_text(seen['la_script_name'])}"
            f"s15:la_seconds_left{_number(seen['la_seconds_left'])}"
            f"s20:la_supports_sessions{_FLAG[seen['la_supports_sessions']]}"
            f"s12:la_user_note{_text(seen['la_user_note'])}"
        ).encode()


def _text(value: str | None) -> str:
    if value is None:
        return "n"
    return f"s{len(value) if value.isascii() else len(value.encode())}:{value}"


def _number(value: int | None) -> str:
    return "n" if value is None else f"i{value};"
