-- The spectral norm of an infinite matrix: a tiny function called millions of times.
local function A(i, j)
    local ij = i + j - 1
    return 1.0 / (ij * (ij - 1) * 0.5 + i)
end

local function times(x, y, n)
    for i = 1, n do
        local sum = 0
        for j = 1, n do
            sum = sum + x[j] * A(i, j)
        end
        y[i] = sum
    end
end

local function times_transposed(x, y, n)
    for i = 1, n do
        local sum = 0
        for j = 1, n do
            sum = sum + x[j] * A(j, i)
        end
        y[i] = sum
    end
end

local function times_both(x, y, t, n)
    times(x, t, n)
    times_transposed(t, y, n)
end

local n = 200
local u, v, t = {}, {}, {}
for i = 1, n do
    u[i] = 1
end
for _ = 1, 10 do
    times_both(u, v, t, n)
    times_both(v, u, t, n)
end
local product, norm = 0, 0
for i = 1, n do
    local ui, vi = u[i], v[i]
    product = product + ui * vi
    norm = norm + vi * vi
end
print(string.format("%0.9f", math.sqrt(product / norm)))
