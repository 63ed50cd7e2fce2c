// Embeds host.lua in real Luau, for one run after another, each in a state of its own. usage: node luau_host.mjs HOST.lua
// Reads a line of {"id", "start", "rate", "files"} for each run, where `start` is a file with its first record, `rate` how fast its
// time passes and `files` a folder for what it keeps, and of {"stop": id} to end one at once. Prints a line of JSON for each thing
// that happens: {"event": ..., "text": ...}; the last one is `over`, with `full` where there is no room for another run.
import http from 'node:http'
import https from 'node:https'
import { readFileSync, writeFileSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import WebSocket from 'ws'
import { LuauState } from '../luau_state.mjs'

const CHUNK = 16384 // longer strings overflow the stack on which they are handed to Luau
const MOST_KILOBYTES_HELD = 128 * 1024 // half of what Luau has: states are not given back
const HOST = readFileSync(process.argv[2], 'utf8')

const escapeField = (bytes) => {
    const text = Buffer.from(bytes).toString('latin1')
    return text === '' ? '%' : text.replace(/[^!-$&-~]/g, (c) => '%' + c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase())
}
const unescapeField = (field) =>
    field === '%' ? Buffer.alloc(0) : Buffer.from(field.replace(/%(..)/g, (_, digits) => String.fromCharCode(parseInt(digits, 16))), 'latin1')

const emit = (event, bytes) => writeSync(1, JSON.stringify({ event, text: Buffer.from(bytes).toString('utf8') }) + '\n')

// What a run asks of the outside, and hears from it.
class Outside {
    #files
    #agents = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) }
    #requests = new Set()
    #sockets = new Map()
    #pending = []
    #awake = () => {}
    isStopped = false

    constructor(files) {
        this.#files = files
    }

    happened(...fields) {
        this.tell(fields.map((field) => escapeField(field instanceof Buffer ? field : Buffer.from(String(field)))).join(' '))
    }

    tell(record) {
        this.#pending.push(record)
        this.wake()
    }

    wake() {
        this.#awake()
    }

    get isSilent() {
        return this.#pending.length === 0
    }

    takeRecords() {
        const records = this.#pending
        this.#pending = []
        return records
    }

    // Until something happens, and so long at most.
    async wait(milliseconds) {
        let timer
        await new Promise((resolve) => {
            this.#awake = resolve
            if (milliseconds !== undefined) timer = setTimeout(resolve, milliseconds)
        })
        clearTimeout(timer)
        this.#awake = () => {}
    }

    // As a process that is killed leaves its connections: without a word.
    stop() {
        this.isStopped = true
        for (const request of this.#requests) request.destroy()
        for (const socket of this.#sockets.values()) socket.terminate()
        for (const agent of Object.values(this.#agents)) agent.destroy()
        this.wake()
    }

    http(id, method, url, body, ...fields) {
        const headers = {}
        for (let i = 0; i < fields.length; i += 2) headers[fields[i].toString()] = fields[i + 1].toString()
        if (method.toString() !== 'GET') headers['content-length'] = body.length
        const failed = (error) => this.happened('http_failed', id, error.message)
        try {
            const { protocol } = new URL(url.toString())
            const request = (protocol === 'https:' ? https : http).request(
                url.toString(),
                { method: method.toString(), headers, agent: this.#agents[protocol] },
                (reply) => {
                    const parts = []
                    reply.on('data', (part) => parts.push(part))
                    reply.on('end', () => this.happened('http', id, reply.statusCode, Buffer.concat(parts)))
                    reply.on('error', failed)
                },
            )
            this.#requests.add(request)
            request.on('close', () => this.#requests.delete(request))
            request.on('error', failed)
            request.end(method.toString() === 'GET' ? undefined : body)
        } catch (error) {
            failed(error)
        }
    }

    store(id, name, text) {
        try {
            writeFileSync(`${this.#files}/${name}`, text)
            this.happened('stored', id, '')
        } catch (error) {
            this.happened('stored', id, error.message)
        }
    }

    recall(id, name) {
        try {
            this.happened('recalled', id, readFileSync(`${this.#files}/${name}`))
        } catch {
            this.happened('recalled', id)
        }
    }

    ws_open(id, url) {
        let isOpen = false
        let socket
        try {
            socket = new WebSocket(url.toString(), { perMessageDeflate: false, maxPayload: 0 })
        } catch (error) {
            this.happened('ws_failed', id, error.message)
            return
        }
        this.#sockets.set(String(id), socket)
        socket.on('open', () => {
            isOpen = true
            this.happened('ws_opened', id)
        })
        socket.on('message', (data) => this.happened('ws_message', id, data))
        socket.on('error', () => {}) // it closes, too
        socket.on('close', (code, reason) => {
            this.#sockets.delete(String(id))
            if (isOpen) this.happened('ws_closed', id, code, reason)
            else this.happened('ws_failed', id, 'the connection was refused')
        })
    }

    ws_send(id, text) {
        const socket = this.#sockets.get(String(id))
        if (socket?.readyState === WebSocket.OPEN) socket.send(text.toString('utf8'))
    }

    ws_close(id, code) {
        this.#sockets.get(String(id))?.close(Number(code))
    }
}

const COMMANDS = new Set(['http', 'store', 'recall', 'ws_open', 'ws_send', 'ws_close'])

const play = async (state, outside, rate) => {
    const [feed, step, deliver] = await state.loadstring(HOST, '=host', true)()
    const load = async (id, name, source) => {
        const chunk = state.loadstring(source.toString('latin1'), name.toString())
        if (typeof chunk === 'string') await deliver(id.toString(), null, chunk)
        else await deliver(id.toString(), chunk)
    }
    const started = performance.now()
    const millisecondsPerSecond = 1000 / rate
    while (!outside.isStopped) {
        const text = outside.takeRecords().join('\n') + '\n'
        for (let at = 0; at < text.length; at += CHUNK) await feed(text.slice(at, at + CHUNK))
        const [answer] = await step((performance.now() - started) / millisecondsPerSecond)
        let pause = 'forever'
        let isLoaded = false
        for (const record of answer.split('\n')) {
            const [kind, ...fields] = record.split(' ')
            if (kind === 'pause') pause = fields[0]
            else if (kind === 'load') {
                await load(...fields.map(unescapeField))
                isLoaded = true
            } else if (COMMANDS.has(kind)) outside[kind](...fields.map(unescapeField))
            else emit(kind, unescapeField(fields[0]))
        }
        if (isLoaded || !outside.isSilent) continue
        if (pause === 'idle') {
            emit('finished', '')
            return
        }
        await outside.wait(pause === 'forever' ? undefined : Number(pause) * millisecondsPerSecond)
    }
}

let running = { id: null, outside: null }
let kilobytesHeld = 0

const run = async ({ id, start, rate, files }) => {
    const outside = new Outside(files)
    running = { id, outside }
    outside.tell(readFileSync(start, 'latin1'))
    const state = await LuauState.createAsync()
    const kilobytes = state.loadstring('return gcinfo()', '=kilobytes', true)
    await play(state, outside, rate)
    outside.stop()
    kilobytesHeld += (await kilobytes())[0]
    running = { id: null, outside: null }
    emit('over', kilobytesHeld > MOST_KILOBYTES_HELD ? 'full' : '')
}

createInterface({ input: process.stdin })
    .on('line', (line) => {
        const order = JSON.parse(line)
        if (!('stop' in order)) run(order)
        else if (order.stop === running.id) running.outside.stop()
    })
    .on('close', () => process.exit(0))
