/** Calls of the management API, typed from its own document. The one place of the page that speaks HTTP. */
import { API, lost } from "./connection";
import { ApiError, ConnectionLost } from "./errors";
import { credentials, signedOut } from "./session";
import type { ErrorReply, Operations } from "./types";

export type Operation = keyof Operations;
type PathOf<K extends Operation> = Operations[K]["path"];
type QueryOf<K extends Operation> = Partial<{ [N in keyof Operations[K]["query"]]: Operations[K]["query"][N] | undefined }>;
export type BodyOf<K extends Operation> = Operations[K]["body"];
export type ReplyOf<K extends Operation> = Operations[K]["reply"];

export interface Asked<K extends Operation> {
  query?: QueryOf<K>;
  body?: BodyOf<K>;
  /** The version that a change is meant for: refused with 412 when there is another by now. */
  etag?: string | null;
  signal?: AbortSignal;
}

export interface Answer<K extends Operation> {
  reply: ReplyOf<K>;
  etag: string | null;
}

/** Calls that change nothing, however often they are made: their answers need not be kept. */
const ASKING: ReadonlySet<Operation> = new Set<Operation>(["POST /scripts/{script_id}/sessions", "POST /scripts/{script_id}/check"]);
const TIMES = 4;
const LONGEST_WAIT_SECONDS = 20;

/** Make a call. Raises ApiError for what was refused, ConnectionLost where nothing was heard. */
export async function ask<K extends Operation>(operation: K, path: PathOf<K>, asked: Asked<K> = {}): Promise<Answer<K>> {
  const [method, template] = operation.split(" ") as [string, string];
  const address = addressOf(template, path as Record<string, string>, asked.query);
  const headers: Record<string, string> = { accept: "application/json", ...credentials(method !== "GET") };
  if (asked.etag) headers["if-match"] = asked.etag;
  const init: RequestInit = { method, headers, cache: "no-store", credentials: "same-origin" };
  if (method !== "GET") {
    // Sent again with the same name, a call is still carried out once.
    if (!ASKING.has(operation)) headers["idempotency-key"] = crypto.randomUUID?.() ?? randomName();
    headers["content-type"] = "application/json";
    init.body = JSON.stringify(asked.body ?? {});
  }
  if (asked.signal) init.signal = asked.signal;
  for (let time = 1; ; time++) {
    const response = await heard(address, init, time);
    if (response === null) continue;
    if (response.ok) return { reply: (await response.json()) as ReplyOf<K>, etag: response.headers.get("etag") };
    const error = await refusalOf(response);
    const wait = Number(response.headers.get("retry-after") ?? "1");
    if ((response.status === 429 || response.status === 503) && time < TIMES && wait <= LONGEST_WAIT_SECONDS) {
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
      continue;
    }
    // Whoever is signing in is told beside the field what was wrong.
    if (response.status === 401 && !template.startsWith("/auth/")) signedOut();
    throw error;
  }
}

/** As `ask`, for who wants the reply alone. */
export async function call<K extends Operation>(operation: K, path: PathOf<K>, asked: Asked<K> = {}): Promise<ReplyOf<K>> {
  return (await ask(operation, path, asked)).reply;
}

/** The response; null where nothing was heard, the connection is back, and it may be tried again. */
async function heard(address: URL, init: RequestInit, time: number): Promise<Response | null> {
  try {
    return await fetch(address, init);
  } catch (failure) {
    if (init.signal?.aborted) throw failure;
    const healed = lost();
    if (time >= TIMES) throw new ConnectionLost();
    await healed;
    init.signal?.throwIfAborted();
    return null;
  }
}

async function refusalOf(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("x-request-id");
  try {
    const { error } = (await response.json()) as ErrorReply;
    return new ApiError(response.status, error, requestId);
  } catch {
    // A proxy's own words, which are no JSON.
    const message = `${response.status} ${response.statusText}`.trim();
    return new ApiError(response.status, { code: -1, message }, requestId);
  }
}

function addressOf(template: string, path: Record<string, string>, query: object = {}): URL {
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(path[name] ?? ""));
  const address = new URL(filled.slice(1), API);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") address.searchParams.set(name, String(value));
  }
  return address;
}

/** Browsers give `randomUUID` to pages of https and of this machine alone. */
function randomName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
