local function bytes(text)
	local out = {}
	for index = 1, #text do out[index] = string.byte(text, index) end
	return table.concat(out, " ")
end
print(bytes("tab\tnewline\nreturn\rquote\"single'backslash\\"))
print(bytes("\0zero\0001three\1\012\123\200\255"))
print(bytes("\a\b\f\v"))
print(bytes('mixed "double" and \'single\''))
print(bytes([[long
bracket \n stays]]))
print(bytes([==[
first newline dropped ]] and ]=] inside]==]))
print(bytes("line\
continued"))
print(#"", #"a\0b", "a\0b" == "a\0c", "abc" < "abd", "Z" < "a")
print(bytes("caf\195\169 \226\130\172 \240\159\152\128"))
local everything = {}
for code = 0, 255 do everything[#everything + 1] = string.char(code) end
everything = table.concat(everything)
print(#everything, bytes(everything:sub(120, 135)))
print(("repeat me "):rep(3), ("%5.2f|%d|%s|%q|%%"):format(3.14159, 42, "text", "quoted"))
print(("hello world"):gsub("o", "0"), ("key=value"):match("(%w+)=(%w+)"))
print(("a,b,,c"):gsub(",", ";"), ("  trim  "):match("^%s*(.-)%s*$"))
for word, number in ("one1 two22 three333"):gmatch("(%a+)(%d+)") do print(word, number) end
print(("x"):byte(), ("%s"):rep(2, "-"), #("z"):rep(1000))
print(tostring(nil), tostring(true), tostring(12), tostring("text"))
print("concat" .. 1 .. "and" .. 2.5, 10 .. "")
print(("find me"):find("me"), ("find me"):find("m(e)"), ("a.b"):find(".", 1, true), ("none"):find("x"))
print(string.format("%10s|%-10s|%05d|%x|%X|%o|%e|%g", "right", "left", 42, 255, 255, 8, 12345.678, 0.0001))
print(("reverse"):reverse(), ("MiXeD"):lower(), ("MiXeD"):upper(), ("sub"):sub(-2, -1))
print(("%d items"):format(3) .. '"' .. "'" .. "\\" .. "]]" .. "]=]")
print("--[[ not a comment ]]", "-- neither", [[ "both" 'quotes' ]])
