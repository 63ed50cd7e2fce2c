-- Whether the server's installation said something: its `proof` is a signature of the root of a tree of hashes, and the way
-- there from the hash of what was said.
local SIGNATURE_DIGITS = 128
local HASH_DIGITS = 64
local MOST_DIGITS = 128 + 65 * 32

-- `proof` is text; `content` what it is of.
return function(proof, content)
  if
    type(proof) ~= "string"
    or #proof > MOST_DIGITS
    or #proof < SIGNATURE_DIGITS
    or (#proof - SIGNATURE_DIGITS) % (HASH_DIGITS + 1) ~= 0
    or string.find(proof, "[^%xlr]")
  then
    return false
  end
  local hash = sha256.sha256("\0" .. content)
  for at = SIGNATURE_DIGITS + 1, #proof, HASH_DIGITS + 1 do
    local other = sha256.unhex(string.sub(proof, at + 1, at + HASH_DIGITS))
    if string.sub(proof, at, at) == "l" then
      hash = sha256.sha256("\1" .. other .. hash)
    else
      hash = sha256.sha256("\1" .. hash .. other)
    end
  end
  return verify_signature(settings.signing_key, "moonlatch/2 " .. hash, sha256.unhex(string.sub(proof, 1, SIGNATURE_DIGITS)))
end
