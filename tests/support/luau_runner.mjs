// Runs or compiles Luau sources in real Luau, each in a fresh state: reads lines of {"run": bool, "source": ...} and answers each
// with a line of JSON. Where it `loads`, the source finds a `loadstring`. `is_full` says that the states, which are not given back, leave too little memory for another script.
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { LuauState } from './luau_state.mjs'

const MOST_KILOBYTES_HELD = 128 * 1024 // half of what Luau has

// `print` is replaced inside Luau, so that numbers and nil look as Luau shows them; bytes that do not cross the bridge are escaped.
const PRELUDE = `
local concat, format, gsub, byte = table.concat, string.format, string.gsub, string.byte
local tostring, select, type, pcall = tostring, select, type, pcall
local lines, count = {}, 0
local function safe(text)
    return (gsub(text, "[%c\\\\\\127-\\255]", function(c) return format("\\\\%03d", byte(c)) end))
end
print = function(...)
    local parts = {}
    for index = 1, select("#", ...) do parts[index] = tostring((select(index, ...))) end
    local text = safe(concat(parts, "\\t")) -- raises where the stack of C is nearly full
    count += 1
    lines[count] = text
end
return function(chunk)
    local ok, problem = pcall(chunk)
    local kind = type(problem)
    local text = if kind == "string" then safe(problem) elseif kind == "number" or kind == "nil" or kind == "boolean" then tostring(problem) else "<" .. kind .. ">"
    return concat(lines, "\\n"), ok, text
end`

// As Luau's own programs have it.
const createLoading = async () => {
    const loadstring = (source, name) => {
        const chunk = state.loadstring(source, name ?? '=loaded', false)
        return typeof chunk === 'string' ? [undefined, chunk] : chunk
    }
    const state = await LuauState.createAsync({ loadstring })
    return state
}

const emit = (result) => writeSync(1, JSON.stringify(result) + '\n')
console.log = () => {}
let kilobytesHeld = 0

for await (const line of createInterface({ input: process.stdin })) {
    const { run, source, loads } = JSON.parse(line)
    const result = { output: '', error: null, compile_error: null }
    const state = await (loads ? createLoading() : LuauState.createAsync())
    // These come first: a chunk sees the globals as they were when it was loaded.
    const kilobytes = state.loadstring('return gcinfo()', '=kilobytes', true)
    const wrapper = run ? (await state.loadstring(PRELUDE, '=prelude', true)())[0] : null
    const chunk = state.loadstring(source || ' ', '=script', false) // an empty text does not cross the bridge
    if (typeof chunk === 'string') {
        result.compile_error = chunk
    } else if (run) {
        const [output, ok, text] = await wrapper(chunk)
        result.output = output
        result.error = ok ? null : text
    }
    kilobytesHeld += (await kilobytes())[0]
    emit({ ...result, is_full: kilobytesHeld > MOST_KILOBYTES_HELD })
    // The state is left to the process's end: destroying one releases functions of the next.
}
