-- The sieve of Eratosthenes, with the primes' digits added up.
local function sieve(limit)
    local is_composite, primes = {}, {}
    for i = 2, limit do
        if not is_composite[i] then
            primes[#primes + 1] = i
            for j = i * i, limit, i do
                is_composite[j] = true
            end
        end
    end
    return primes
end

local function digit_sum(n)
    local sum = 0
    while n > 0 do
        local digit = n % 10
        sum = sum + digit
        n = (n - digit) / 10
    end
    return sum
end

local count, sum, gaps = 0, 0, {}
for _ = 1, 3 do
    local primes = sieve(300000)
    count = count + #primes
    for i = 2, #primes do
        local gap = primes[i] - primes[i - 1]
        gaps[gap] = (gaps[gap] or 0) + 1
        sum = sum + digit_sum(primes[i])
    end
end
print(count, sum, gaps[2], gaps[6], gaps[30])
