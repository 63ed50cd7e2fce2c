"""What the server signs: many answers under one signature, each with its own way to the root."""

import asyncio
import dataclasses
import secrets

import pytest

from moonlatch.client.signatures import Signatures
from moonlatch.keyring import Keyring
from support.client import Refused, UnverifiedError, is_proof
from support.client_server import World

KEYRING = Keyring(bytes(range(32)))


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 7, 8, 9, 64, 100])
async def test_each_of_many_answers_has_a_proof_of_its_own(number: int) -> None:
    signatures, contents = Signatures(KEYRING.current), [secrets.token_bytes(size) for size in range(number)]
    proofs = await asyncio.gather(*map(signatures.proof, contents))
    assert len({proof[:128] for proof in proofs}) == 1
    for content, proof in zip(contents, proofs, strict=True):
        assert is_proof(proof, content, KEYRING.public_key)
        assert not is_proof(proof, content + b"x", KEYRING.public_key)
        assert not is_proof(proof, content, Keyring(bytes(32)).public_key)


async def test_an_inner_node_is_no_answer() -> None:
    signatures = Signatures(KEYRING.current)
    one, other = await asyncio.gather(signatures.proof(b"one"), signatures.proof(b"other"))
    left, right = bytes.fromhex(other[129:]), bytes.fromhex(one[129:])
    assert not is_proof(one[:128], b"\1" + left + right, KEYRING.public_key)
    assert not is_proof(one[:128], left + right, KEYRING.public_key)


async def test_grants_and_refusals_are_signed(world: World) -> None:
    client, key = await world.script(), await world.user()
    copy = await client.execute(key=key)
    assert "mac" not in copy.reply
    with pytest.raises(Refused):
        await client.execute(key="unknown")
    elsewhere = dataclasses.replace(client, signing_key=Keyring(bytes(32)).public_key)
    with pytest.raises(UnverifiedError):
        await elsewhere.execute(key=key)
    with pytest.raises(UnverifiedError):
        await elsewhere.execute(key="unknown")


async def test_a_request_that_was_changed_on_the_way_gets_no_answer_for_the_one_that_was_sent(world: World) -> None:
    client, key = await world.script(), await world.user()
    sent = client.request(key=key)
    response = await client.post("/client/v1/execute", {**sent, "key": "another"})
    with pytest.raises(UnverifiedError):
        client._check(response.json()["proof"], b"moonlatch/2 refusal\n" + bytes(32))
