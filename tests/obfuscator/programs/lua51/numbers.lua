print(2 ^ 53 == 9007199254740992, 9007199254740992 - 1 == 9007199254740991)
print(string.format("%.17g %.17g %.17g", 0.1, 1 / 3, 123456789.123456789))
print(string.format("%.17g %.17g %.17g", 1e308, 5e-324, 2.2250738585072014e-308))
print(1e15 == 1000000000000000, 0x7fffffff, 0xFF, 0x10 + 1, 3 == 3.0)
local nan = 0 / 0
print(nan ~= nan, nan == nan, 1 / 0 > 1e308, -1 / 0 < -1e308)
local zero = 0.0
print(1 / zero, 1 / -zero, -zero == zero, string.format("%.1f", -zero))
print(7 % 3, -7 % 3, 7 % -3, -7 % -3, 5.5 % 2, -5.5 % 2)
print(math.floor(3.7), math.floor(-3.7), math.ceil(3.2), math.max(1, 5, 3), math.min(4, 2))
print(10 / 4, 2 ^ 0.5 == math.sqrt(2), 100000 * 100000 == 1e10)
print(tonumber("0x1F"), tonumber("  12  "), tonumber("1e3") == 1000, tonumber("abc"), tonumber("ff", 16), tonumber("777", 8))
print(.5 + .25, 5. + 1, 3e-2 == 0.03, 0.1 + 0.2 == 0.3, 1e-7 < 1e-6)
for value = 1, 2, 0.25 do io_value = value end
print(io_value)
for value = 10, 1, -3 do print("down", value) end
for value = 1, 0 do print("never", value) end
local total = 0
for value = 1000, 5000, 1000 do total = total + value end
print(total, 65536 * 65536 == 4294967296, 123456 + 654321, 999999 - 1)
print(1234567890123 == 1234567890123.0, 4503599627370497.5 > 4503599627370497)
print(1 < 2 == true, "10" + 5 == 15, 10 .. 20, -"2" == -2)
print(math.abs(-12345), math.huge == 1 / 0, -math.huge == -1 / 0)
print(string.format("%d %d", 1e9, -2147483648), 2147483647 + 1 == 2147483648)
