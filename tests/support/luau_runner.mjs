// Runs or compiles Luau sources in real Luau, each in a fresh state: reads lines of {"run": bool, "source": ...} and answers each
// with a line of JSON. `is_full` says that the states, which are not given back, leave too little memory for another script.
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'

const HEAP_PAGES = 4096 // 256 MiB; luau-web's own 17 MB are too few for large scripts
const MOST_KILOBYTES_HELD = 64 * 1024

const readLeb = (bytes, at) => {
    let value = 0
    let shift = 0
    for (;;) {
        const byte = bytes[at++]
        value += (byte & 0x7f) * 2 ** shift
        shift += 7
        if (!(byte & 0x80)) return [value, at]
    }
}

const writeLeb = (value) => {
    const out = []
    do {
        const low = value & 0x7f
        value >>>= 7
        out.push(value ? low | 0x80 : low)
    } while (value)
    return out
}

// The memory section (5) of the module is rewritten, because its size is fixed when the module is instantiated.
const withLargerHeap = (binary) => {
    const bytes = new Uint8Array(binary.buffer ?? binary)
    let at = 8
    while (at < bytes.length) {
        const start = at
        const id = bytes[at++]
        let size
        ;[size, at] = readLeb(bytes, at)
        if (id === 5) {
            const payload = [1, 1, ...writeLeb(HEAP_PAGES), ...writeLeb(HEAP_PAGES)]
            const section = [5, ...writeLeb(payload.length), ...payload]
            const rest = bytes.subarray(at + size)
            const out = new Uint8Array(start + section.length + rest.length)
            out.set(bytes.subarray(0, start))
            out.set(section, start)
            out.set(rest, start + section.length)
            return out
        }
        at += size
    }
    return bytes
}

const instantiate = WebAssembly.instantiate
WebAssembly.instantiate = (binary, imports) => instantiate(withLargerHeap(binary), imports)

const { LuauState } = await import('../../node_modules/luau-web/src/index.js')

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

const emit = (result) => writeSync(1, JSON.stringify(result) + '\n')
console.log = () => {}
let kilobytesHeld = 0

for await (const line of createInterface({ input: process.stdin })) {
    const { run, source } = JSON.parse(line)
    const result = { output: '', error: null, compile_error: null }
    const state = await LuauState.createAsync()
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
