-- The script that the first start publishes, so that there is something to run. Yours goes in its place.

if not la_exists then -- in an editor, without Moonlatch, these names are made up
    la_script_name, la_executions, la_is_premium = "hello", 1, true
end

print("Hello from " .. la_script_name .. ", protected and delivered by Moonlatch.")
print("Start number " .. tostring(la_executions) .. " of this key.")

if la_is_premium then
    print(la_seconds_left and ("The key has " .. la_seconds_left .. " seconds left.") or "The key never expires.")
end

if la_handle then -- called through POST /sessions/SESSION_ID/message {"key": "greet", "data": {"name": "you"}}
    la_handle("greet", function(data)
        return { answer = "Hello, " .. tostring(data.name) .. "!" }
    end)
end
