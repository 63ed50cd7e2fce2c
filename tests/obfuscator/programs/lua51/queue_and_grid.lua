local grid = { "S..#....", ".#.#.##.", ".#...#..", ".####.#.", "......#E" }
local function find(mark) for y, row in ipairs(grid) do local x = row:find(mark, 1, true) if x then return x, y end end end
local sx, sy = find("S")
local ex, ey = find("E")
local queue, head, seen = { { sx, sy, 0, "" } }, 1, { [sy * 1000 + sx] = true }
local moves = { { 1, 0, "R" }, { -1, 0, "L" }, { 0, 1, "D" }, { 0, -1, "U" } }
local answer
while queue[head] do
	local x, y, distance, path = queue[head][1], queue[head][2], queue[head][3], queue[head][4]
	head = head + 1
	if x == ex and y == ey then answer = distance .. " " .. path break end
	for _, move in ipairs(moves) do
		local nx, ny = x + move[1], y + move[2]
		local key = ny * 1000 + nx
		if grid[ny] and not seen[key] then
			local cell = grid[ny]:sub(nx, nx)
			if cell ~= "" and cell ~= "#" then seen[key] = true queue[#queue + 1] = { nx, ny, distance + 1, path .. move[3] } end
		end
	end
end
print(answer or "no way")
local life = {}
for y = 1, 6 do life[y] = {} for x = 1, 6 do life[y][x] = (x * 7 + y * 13) % 3 == 0 end end
for _ = 1, 4 do
	local after = {}
	for y = 1, 6 do
		after[y] = {}
		for x = 1, 6 do
			local alive = 0
			for dy = -1, 1 do for dx = -1, 1 do if (dx ~= 0 or dy ~= 0) and life[y + dy] and life[y + dy][x + dx] then alive = alive + 1 end end end
			after[y][x] = alive == 3 or (life[y][x] and alive == 2)
		end
	end
	life = after
end
for y = 1, 6 do local row = {} for x = 1, 6 do row[x] = life[y][x] and "#" or "." end print(table.concat(row)) end
