// Embeds host.lua in real Luau. usage: node --experimental-websocket luau_host.mjs HOST.lua START TIME_RATE
// where START is a file with the first record and TIME_RATE how fast its time passes; prints one JSON line per thing that happens: {"event": ..., "text": ...}.
import { readFileSync, writeFileSync, writeSync } from 'node:fs'
import { LuauState } from '../luau_state.mjs'

const CHUNK = 16384 // longer strings overflow the stack on which they are handed to Luau

const escapeField = (bytes) => {
    const text = Buffer.from(bytes).toString('latin1')
    return text === '' ? '%' : text.replace(/[^!-$&-~]/g, (c) => '%' + c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase())
}
const unescapeField = (field) =>
    field === '%' ? Buffer.alloc(0) : Buffer.from(field.replace(/%(..)/g, (_, digits) => String.fromCharCode(parseInt(digits, 16))), 'latin1')

const emit = (event, bytes) => writeSync(1, JSON.stringify({ event, text: Buffer.from(bytes).toString('utf8') }) + '\n')

let pending = []
let awake = () => {}
const happened = (...fields) => {
    pending.push(fields.map((field) => escapeField(field instanceof Buffer ? field : Buffer.from(String(field)))).join(' '))
    awake()
}

const sockets = new Map()

const http = async (id, method, url, body, headers) => {
    try {
        const init = { method: method.toString(), headers: {} }
        for (let i = 0; i < headers.length; i += 2) init.headers[headers[i].toString()] = headers[i + 1].toString()
        if (init.method !== 'GET') init.body = body
        const reply = await fetch(url.toString(), init)
        happened('http', id, reply.status, Buffer.from(await reply.arrayBuffer()))
    } catch (error) {
        happened('http_failed', id, error.cause?.message ?? error.message)
    }
}

const fileOf = (name) => `${process.env.LUA_HOST_FILES ?? '/nowhere'}/${name}`
const store = (id, name, text) => {
    try {
        writeFileSync(fileOf(name), text)
        happened('stored', id, '')
    } catch (error) {
        happened('stored', id, error.message)
    }
}
const recall = (id, name) => {
    try {
        happened('recalled', id, readFileSync(fileOf(name)))
    } catch {
        happened('recalled', id)
    }
}

const openSocket = (id, url) => {
    const socket = new WebSocket(url.toString())
    let opened = false
    sockets.set(String(id), socket)
    socket.onopen = () => {
        opened = true
        happened('ws_opened', id)
    }
    socket.onmessage = ({ data }) => happened('ws_message', id, data)
    // A connection that fails may say so twice, or with its error alone.
    const ended = (...what) => {
        if (sockets.delete(String(id))) happened(...what)
    }
    socket.onclose = ({ code, reason }) =>
        opened ? ended('ws_closed', id, code, reason) : ended('ws_failed', id, 'the connection was refused')
    socket.onerror = () => opened || ended('ws_failed', id, 'the connection was refused')
}

const state = await LuauState.createAsync()
const [feed, step, deliver] = await state.loadstring(readFileSync(process.argv[2], 'utf8'), '=host', true)()

const commands = {
    http: (id, method, url, body, ...headers) => void http(id, method, url, body, headers),
    store,
    recall,
    ws_open: openSocket,
    ws_send: (id, text) => {
        const socket = sockets.get(String(id))
        if (socket?.readyState === WebSocket.OPEN) socket.send(text.toString('utf8'))
    },
    ws_close: (id, code) => sockets.get(String(id))?.close(Number(code)),
    load: async (id, name, source) => {
        const chunk = state.loadstring(source.toString('latin1'), name.toString())
        if (typeof chunk === 'string') await deliver(id.toString(), null, chunk)
        else await deliver(id.toString(), chunk)
        awake()
        return true
    },
}

pending.push(readFileSync(process.argv[3], 'latin1'))
const started = performance.now()
const millisecondsPerSecond = 1000 / Number(process.argv[4])
for (;;) {
    const text = pending.join('\n') + '\n'
    pending = []
    for (let at = 0; at < text.length; at += CHUNK) await feed(text.slice(at, at + CHUNK))
    const [answer] = await step((performance.now() - started) / millisecondsPerSecond)
    let pause = 'forever'
    let again = false
    for (const record of answer.split('\n')) {
        const [kind, ...fields] = record.split(' ')
        if (kind === 'pause') pause = fields[0]
        else if (commands[kind]) again = (await commands[kind](...fields.map(unescapeField))) === true || again
        else emit(kind, unescapeField(fields[0]))
    }
    if (again || pending.length > 0) continue
    if (pause === 'idle') break
    await new Promise((resolve) => {
        awake = resolve
        if (pause !== 'forever') setTimeout(resolve, Number(pause) * millisecondsPerSecond)
    })
    awake = () => {}
}
emit('finished', '')
process.exit(0)
