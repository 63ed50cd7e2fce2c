-- Matrix product, transposition and determinant over tables of tables.
local function matrix(rows, columns, f)
    local out = {}
    for i = 1, rows do
        local row = {}
        for j = 1, columns do
            row[j] = f(i, j)
        end
        out[i] = row
    end
    return out
end

local function product(a, b)
    local n, m, p = #a, #b, #b[1]
    local out = {}
    for i = 1, n do
        local row, from = {}, a[i]
        for j = 1, p do
            local sum = 0
            for k = 1, m do
                sum = sum + from[k] * b[k][j]
            end
            row[j] = sum
        end
        out[i] = row
    end
    return out
end

local function transposed(a)
    return matrix(#a[1], #a, function(i, j)
        return a[j][i]
    end)
end

local function determinant(source)
    local n = #source
    local a = matrix(n, n, function(i, j)
        return source[i][j]
    end)
    local result = 1
    for column = 1, n do
        local pivot = column
        for row = column + 1, n do
            if math.abs(a[row][column]) > math.abs(a[pivot][column]) then
                pivot = row
            end
        end
        if a[pivot][column] == 0 then
            return 0
        end
        if pivot ~= column then
            a[pivot], a[column] = a[column], a[pivot]
            result = -result
        end
        result = result * a[column][column]
        for row = column + 1, n do
            local factor = a[row][column] / a[column][column]
            for k = column, n do
                a[row][k] = a[row][k] - factor * a[column][k]
            end
        end
    end
    return result
end

local a = matrix(90, 90, function(i, j)
    return (i * 7 + j * 13) % 11 - 5 + (i == j and 3 or 0)
end)
local b = transposed(a)
local trace = 0
for _ = 1, 5 do
    local c = product(a, b)
    for i = 1, #c do
        trace = trace + c[i][i]
    end
end
print(trace)
print(string.format("%.6e", determinant(matrix(60, 60, function(i, j)
    return i == j and 4 or (i * j) % 3 / 8
end))))
