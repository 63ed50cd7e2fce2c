-- Compiles the inner loops (hashes, ChaCha20, signatures, base64) for the 32-bit operators and the kind of memory this Lua
-- has. A kernel is written once, in Lua plus the macros below, and becomes source that the host's own compiler optimises:
-- real operators on Lua 5.3 and newer, `bit` on LuaJIT, `bit32` and `buffer` on Luau, arithmetic where there is nothing.
--
-- The host sees what it compiles, so every start has it compile another text: other names, operands in another order, and what
-- the kernels themselves leave to chance.
--
-- A number is clean when it is an integer from 0 to 2^32 - 1 (LuaJIT: or its signed twin). Sums are not clean.
--   clean(x)         any integer below 2^53, made clean
--   bxor(x, y), band(x, y), shr(x, n), ror(x, n)   of clean numbers; clean again after clean()
--   low(x, n)        the lowest n bits of a clean number
--   mix(x, y, n)     the statement x = (x xor y) rotated left by n; uses a local t; y may be a sum
--   mask(x, y)       x xor y, clean; x is clean, y may be a sum
--   total(x, y, ...) the sum
--   place(i)         where word i of a block of memory lies; step(n): how far n words are
--   word(m, p, i), put(m, p, i, x)   the word i places after p
local kernel = {}

-- In some programs one of them is there and compiles nothing.
local LOADS = {
  function()
    return loadstring
  end,
  function()
    return load
  end,
  function()
    return finding.shared("loadstring")
  end,
}

kernel.load = finding.first(LOADS, function(compile)
  local ok, chunk = attempt(compile, "return 6 * 7", "=loader")
  local ran, answer = attempt(ok and chunk)
  return ran and answer == 42 and compile
end)

local OPERATORS = {
  native = {
    header = "",
    clean = "(($1) & 0xffffffff)",
    bxor = "($1 ~ $2)",
    band = "($1 & $2)",
    shr = "($1 >> $2)",
    ror = "($1 >> $2 | $1 << (32 - $2))",
    low = "($1 & ((1 << $2) - 1))",
    mix = "t = ($1 ~ $2) & 0xffffffff $1 = t << $3 | t >> (32 - $3)",
    mask = "(($1 ~ $2) & 0xffffffff)",
  },
  bit = {
    header = "local bxor, band, shr, ror, rol = bit.bxor, bit.band, bit.rshift, bit.ror, bit.rol ",
    clean = "band($1, -1)",
    bxor = "bxor($1, $2)",
    band = "band($1, $2)",
    shr = "shr($1, $2)",
    ror = "ror($1, $2)",
    low = "band($1, 2 ^ $2 - 1)",
    mix = "$1 = rol(bxor($1, $2), $3)",
    mask = "bxor($1, $2)",
  },
  bit32 = {
    header = "local bxor = bit32.bxor local band = bit32.band local shr = bit32.rshift "
      .. "local ror = bit32.rrotate local rol = bit32.lrotate ",
    clean = "band($1, 4294967295)",
    bxor = "bxor($1, $2)",
    band = "band($1, $2)",
    shr = "shr($1, $2)",
    ror = "ror($1, $2)",
    low = "band($1, 2 ^ $2 - 1)",
    mix = "$1 = rol(bxor($1, $2), $3)",
    mask = "bxor($1, $2)",
  },
  arithmetic = {
    header = "local bxor, floor = ... ",
    clean = "(($1) % 4294967296)",
    bxor = "bxor($1, $2)",
    band = "(($1 + $2 - bxor($1, $2)) / 2)",
    shr = "floor($1 / 2 ^ $2)",
    ror = "($1 % 2 ^ $2 * 2 ^ (32 - $2) + floor($1 / 2 ^ $2))",
    low = "($1 % 2 ^ $2)",
    mix = "t = bxor($1, ($2) % 4294967296) $1 = t % 2 ^ (32 - $3) * 2 ^ $3 + floor(t / 2 ^ (32 - $3))",
    mask = "bxor($1, ($2) % 4294967296)",
  },
}

local MEMORY = {
  buffer = {
    header = "local readu32 = buffer.readu32 local writeu32 = buffer.writeu32 ",
    place = "($1 * 4)",
    step = "($1 * 4)",
    word = "readu32($1, $2 + $3 * 4)",
    put = "writeu32($1, $2 + $3 * 4, $4)",
  },
  table = {
    header = "",
    place = "($1 + 1)",
    step = "$1",
    word = "$1[$2 + $3]",
    put = "$1[$2 + $3] = $4",
  },
}

-- XOR of two clean numbers by a table of all pairs of bytes. Where it is needed, everything that is decrypted goes through
-- it, so it must stay code of the host.
local arithmetic_xor = LA_NO_VIRTUALIZE(function()
  local pairs_of_bytes = {}
  local nibbles = {}
  for a = 0, 15 do
    for b = 0, 15 do
      local x, bit, left, right = 0, 1, a, b
      for _ = 1, 4 do
        if left % 2 ~= right % 2 then
          x = x + bit
        end
        left, right, bit = (left - left % 2) / 2, (right - right % 2) / 2, bit * 2
      end
      nibbles[a * 16 + b] = x
    end
  end
  for a = 0, 255 do
    local al = a % 16
    local ah = a - al
    for b = 0, 255 do
      local bl = b % 16
      pairs_of_bytes[a * 256 + b] = nibbles[ah + (b - bl) / 16] * 16 + nibbles[al * 16 + bl]
    end
  end
  return function(a, b)
    local a1, b1 = a % 65536, b % 65536
    local a0, b0 = a1 % 256, b1 % 256
    local a3, b3 = (a - a1) / 65536, (b - b1) / 65536
    local a2, b2 = a3 % 256, b3 % 256
    return pairs_of_bytes[a0 * 256 + b0]
      + pairs_of_bytes[a1 - a0 + (b1 - b0) / 256] * 256
      + pairs_of_bytes[a2 * 256 + b2] * 65536
      + pairs_of_bytes[a3 - a2 + (b3 - b2) / 256] * 16777216
  end
end)

-- Libraries of these names exist with other meanings or with less in them, so they are tried, not trusted: all that is used
-- of them, and where it is used, in chunks that are loaded.
local TRIALS = {
  native = "return 6 ~ 3 == 5",
  bit = "return bit.rol(0x81000000, 4) % 4294967296 == 0x10000008 and bit.ror(0x10000008, 4) % 4294967296 == 0x81000000 "
    .. "and bit.bxor(68719476741, 1) == 4 and bit.rshift(-1, 31) == 1 and bit.band(-1, 7) == 7",
  bit32 = "return bit32.lrotate(0x81000000, 4) == 0x10000008 and bit32.rrotate(0x10000008, 4) == 0x81000000 "
    .. "and bit32.bxor(68719476741, 1) == 4 and bit32.rshift(-1, 31) == 1 and bit32.band(-1, 4294967295) == 4294967295",
  buffer = "local b = buffer.create(8) buffer.writeu32(b, 0, 4294967295) buffer.writestring(b, 4, 'abcd') "
    .. "buffer.fill(b, 0, 0, 2) return buffer.readu32(b, 0) == 4294901760 and buffer.readstring(b, 4, 4) == 'abcd' "
    .. "and buffer.readu16(buffer.fromstring('ab'), 0) == 25185",
}

local function passes(name)
  local ok, answer = attempt(function()
    return kernel.load(TRIALS[name])()
  end)
  return ok and answer == true
end

local function detect_operators()
  local names = { "native", "bit", "bit32" }
  for i = 1, #names do
    if passes(names[i]) then
      return names[i]
    end
  end
  return "arithmetic"
end

local function detect_memory()
  -- Unlike the operators it is used in the loader's own text too.
  local here = finding.probe(function()
    return buffer.create
  end)
  return here and passes("buffer") and "buffer" or "table"
end

local function arguments(text)
  local list, depth, from = {}, 0, 1
  for i = 1, #text do
    local character = string.sub(text, i, i)
    if character == "(" then
      depth = depth + 1
    elseif character == ")" then
      depth = depth - 1
    elseif character == "," and depth == 0 then
      list[#list + 1] = string.sub(text, from, i - 1)
      from = i + 1
    end
  end
  list[#list + 1] = string.sub(text, from)
  return list
end

-- Chance for shapes, not for secrets. Minimal standard generator of Park and Miller (1988).
local seed

local function stir(text)
  for i = 1, #text do
    seed = (seed * 31 + string.byte(text, i)) % 2147483647
  end
end

-- An integer from 1 to `count`, or up to 2^31 at most.
function kernel.chance(count)
  if not seed then
    seed = 1
    stir(tostring({}) .. tostring(finding.probe(function()
      return os.time() .. " " .. os.clock()
    end)) .. tostring(stir))
    seed = math.max(seed, 1)
  end
  seed = seed * 16807 % 2147483647
  return seed % count + 1
end

-- The list, in any order.
function kernel.shuffled(list)
  for i = #list, 2, -1 do
    local other = kernel.chance(i)
    list[i], list[other] = list[other], list[i]
  end
  return list
end

local SYMMETRIC = { bxor = true, band = true, total = true }

local function expand(text, operators, memory)
  return (
    string.gsub(text, "([%a_][%w_]*)(%b())", function(name, parenthesised)
      local inside = expand(string.sub(parenthesised, 2, -2), operators, memory)
      local rule = operators[name] or memory[name]
      if not rule and name ~= "total" then
        return name .. "(" .. inside .. ")"
      end
      local list = arguments(inside)
      if SYMMETRIC[name] then
        kernel.shuffled(list)
      end
      if name == "total" then
        return "(" .. table.concat(list, " + ") .. ")"
      end
      return (string.gsub(rule, "%$(%d)", function(index)
        return list[tonumber(index)]
      end))
    end)
  )
end

-- Words that mean something to Lua, and names of its libraries and their functions that kernels use.
local KNOWN = "and break do else elseif end false for function goto if in local nil not or repeat return then true until while "
  .. "abs band bit bit32 buffer bxor byte ceil floor fromstring lrotate math max min readu16 readu32 rol ror rrotate rshift select "
  .. "string writeu32"

-- What each name in a kernel is called instead: the same in all of them, for they give each other tables.
local names

local function new_names()
  local count = 0
  names = setmetatable({}, {
    __index = function(known, name)
      local letters = ""
      for _ = 1, 1 + kernel.chance(3) do
        letters = letters .. string.char(96 + kernel.chance(26))
      end
      count = count + 1
      known[name] = letters .. count -- the number keeps it from being another one's, or a word of Lua
      return known[name]
    end,
  })
  for word in string.gmatch(KNOWN, "%S+") do
    names[word] = word
  end
end

local function renamed(text)
  if not names then
    new_names()
  end
  text = string.gsub(text, "%-%-[^\n]*", "")
  return (string.gsub(text, "%f[%w_][%a_][%w_]*", names))
end

local xor

-- The names of the operators and the memory in use, once something was compiled.
function kernel.detect()
  kernel.operators = kernel.operators or detect_operators()
  kernel.memory = kernel.memory or detect_memory()
end

-- What the kernel `text`, a chunk, returns; its third argument and those after it are given.
function kernel.compile(text, ...)
  kernel.detect()
  local operators, memory = OPERATORS[kernel.operators], MEMORY[kernel.memory]
  if kernel.operators == "arithmetic" then
    xor = xor or arithmetic_xor()
  end
  local chunk, message = kernel.load(renamed(operators.header .. memory.header .. expand(text, operators, memory)), "=loader")
  if not chunk then
    error("this host cannot compile Lua: " .. tostring(message), 0)
  end
  return chunk(xor, math.floor, ...)
end

return kernel
