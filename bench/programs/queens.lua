-- Every way to put queens on a board: backtracking with early exits.
local function is_safe(board, row, column)
    for i = 1, row - 1 do
        local placed = board[i]
        if placed == column or placed - i == column - row or placed + i == column + row then
            return false
        end
    end
    return true
end

local function solve(board, row, size)
    if row > size then
        return 1
    end
    local solutions = 0
    for column = 1, size do
        if is_safe(board, row, column) then
            board[row] = column
            solutions = solutions + solve(board, row + 1, size)
        end
    end
    return solutions
end

for size = 4, 10 do
    print(size, solve({}, 1, size))
end
