// luau-web's Luau, with more memory than it gives itself.
const HEAP_PAGES = 4096 // 256 MiB: its own 17 MB are few for large scripts

const leb = (value) => {
    const bytes = []
    do {
        const low = value & 0x7f
        value >>>= 7
        bytes.push(value ? low | 0x80 : low)
    } while (value)
    return bytes
}

const readLeb = (bytes, at) => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
        const byte = bytes[at++]
        value += (byte & 0x7f) * 2 ** shift
        if (!(byte & 0x80)) return [value, at]
    }
}

// Section 5 of a WebAssembly module says how much memory it starts with; luau-web fixes that when it is instantiated.
const withLargerHeap = (binary) => {
    const bytes = Buffer.from(binary)
    for (let at = 8; at < bytes.length; ) {
        const [size, body] = readLeb(bytes, at + 1)
        if (bytes[at] === 5) {
            const section = [1, 1, ...leb(HEAP_PAGES), ...leb(HEAP_PAGES)]
            return Buffer.concat([bytes.subarray(0, at), Buffer.from([5, section.length, ...section]), bytes.subarray(body + size)])
        }
        at = body + size
    }
    return bytes
}

const instantiate = WebAssembly.instantiate
WebAssembly.instantiate = (binary, imports) => {
    WebAssembly.instantiate = instantiate // Luau, for its first state, comes first; fetch has a module of its own
    return instantiate(withLargerHeap(binary), imports)
}
export const { LuauState } = await import('../../node_modules/luau-web/src/index.js')
