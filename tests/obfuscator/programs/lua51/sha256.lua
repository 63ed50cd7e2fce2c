local floor = math.floor
local function bits(value) local out = {} for index = 1, 32 do out[index] = value % 2 value = floor(value / 2) end return out end
local function number(list) local value = 0 for index = 32, 1, -1 do value = value * 2 + list[index] end return value end
local xor_table, and_table = {}, {}
for a = 0, 15 do
	xor_table[a], and_table[a] = {}, {}
	for b = 0, 15 do
		local x, y, xor_value, and_value, place = a, b, 0, 0, 1
		for _ = 1, 4 do
			local p, q = x % 2, y % 2
			if p ~= q then xor_value = xor_value + place end
			if p == 1 and q == 1 then and_value = and_value + place end
			x, y, place = (x - p) / 2, (y - q) / 2, place * 2
		end
		xor_table[a][b], and_table[a][b] = xor_value, and_value
	end
end
local function combine(a, b, with)
	local value, place = 0, 1
	for _ = 1, 8 do
		local p, q = a % 16, b % 16
		value = value + with[p][q] * place
		a, b, place = (a - p) / 16, (b - q) / 16, place * 16
	end
	return value
end
local function xor(a, b) return combine(a, b, xor_table) end
local function band(a, b) return combine(a, b, and_table) end
local function rotate(value, by) local low = value % 2 ^ by return floor(value / 2 ^ by) + low * 2 ^ (32 - by) end
local function shift(value, by) return floor(value / 2 ^ by) end
local k = {}
local primes, candidate = {}, 2
while #primes < 64 do
	local prime = true
	for _, known in ipairs(primes) do if candidate % known == 0 then prime = false break end end
	if prime then primes[#primes + 1] = candidate end
	candidate = candidate + 1
end
for index, prime in ipairs(primes) do k[index] = floor((prime ^ (1 / 3)) % 1 * 4294967296) end
local function sha256(message)
	local length = #message
	message = message .. "\128" .. ("\0"):rep((55 - length) % 64)
	local tail = {}
	local size = length * 8
	for index = 8, 1, -1 do tail[index] = string.char(size % 256) size = floor(size / 256) end
	message = message .. table.concat(tail)
	local h = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 }
	for start = 1, #message, 64 do
		local w = {}
		for index = 1, 16 do
			local a, b, c, d = message:byte(start + index * 4 - 4, start + index * 4 - 1)
			w[index] = ((a * 256 + b) * 256 + c) * 256 + d
		end
		for index = 17, 64 do
			local x, y = w[index - 15], w[index - 2]
			local s0 = xor(xor(rotate(x, 7), rotate(x, 18)), shift(x, 3))
			local s1 = xor(xor(rotate(y, 17), rotate(y, 19)), shift(y, 10))
			w[index] = (w[index - 16] + s0 + w[index - 7] + s1) % 4294967296
		end
		local a, b, c, d, e, f, g, hh = h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8]
		for index = 1, 64 do
			local s1 = xor(xor(rotate(e, 6), rotate(e, 11)), rotate(e, 25))
			local choice = xor(band(e, f), band(4294967295 - e, g))
			local t1 = hh + s1 + choice + k[index] + w[index]
			local s0 = xor(xor(rotate(a, 2), rotate(a, 13)), rotate(a, 22))
			local majority = xor(xor(band(a, b), band(a, c)), band(b, c))
			hh, g, f, e, d, c, b, a = g, f, e, (d + t1) % 4294967296, c, b, a, (t1 + s0 + majority) % 4294967296
		end
		local added = { a, b, c, d, e, f, g, hh }
		for index = 1, 8 do h[index] = (h[index] + added[index]) % 4294967296 end
	end
	local out = {}
	for index = 1, 8 do out[index] = string.format("%04x%04x", floor(h[index] / 65536), h[index] % 65536) end
	return table.concat(out)
end
print(sha256(""))
print(sha256("abc"))
print(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))
print(number(bits(3735928559)) == 3735928559)
