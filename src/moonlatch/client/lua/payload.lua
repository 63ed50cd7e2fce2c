-- Opens a sealed payload: `wrapped` is its key in hex under `pad`, `digest` what the server said of the sealed text. Gives its
-- text, or nil when it is not what the digest is of, and the run key that came with it in hex, if one did.
local NONCE = string.rep("\0", 12) -- the key is used for this payload alone
local TAG_BYTES = 16

return function(sealed, digest, wrapped, pad, run_key)
  local block, length = base64.decode(sealed)
  if not block or length < TAG_BYTES or sha256.hex(blake2s(block, length)) ~= digest then
    return nil
  end
  local key = sha256.xor(sha256.unhex(wrapped), pad)
  length = length - TAG_BYTES -- what it is for is known by the digest
  chacha20.apply(block, length, 1, memory.from_string(key), memory.from_string(NONCE))
  return memory.to_string(block, length),
    run_key and sha256.xor(sha256.unhex(run_key), sha256.derive(key, "moonlatch/2 run key"))
end
