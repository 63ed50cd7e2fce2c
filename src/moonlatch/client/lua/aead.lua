-- ChaCha20-Poly1305 (RFC 8439 section 2.8), the opening half.
local aead = {}

local TAG_BYTES = 16

-- Opens ciphertext and tag in place: the length of the plaintext that `block` then starts with, or nil when they are not
-- authentic. `length` counts the tag; `key` and `nonce` are strings of 32 and 12 bytes, `associated` one of any length.
function aead.open(key, nonce, associated, block, length)
  if length < TAG_BYTES then
    return nil
  end
  local text_length = length - TAG_BYTES
  local key_block, nonce_block = memory.from_string(key), memory.from_string(nonce)

  local one_time_key = memory.create(64)
  chacha20.apply(one_time_key, 64, 0, key_block, nonce_block)

  local tag = memory.bytes(block, text_length, TAG_BYTES)
  memory.clear(block, text_length, length)

  local authenticator = poly1305.create(one_time_key)
  poly1305.absorb(authenticator, memory.from_string(associated), 0, math.ceil(#associated / 16))
  poly1305.absorb(authenticator, block, 0, math.ceil(text_length / 16))
  local lengths = memory.little_endian({ #associated, 0, text_length, 0 })
  poly1305.absorb(authenticator, memory.from_string(lengths), 0, 1)
  if not sha256.equal(memory.little_endian(poly1305.finish(authenticator)), tag) then
    return nil
  end
  chacha20.apply(block, text_length, 1, key_block, nonce_block)
  return text_length
end

return aead
