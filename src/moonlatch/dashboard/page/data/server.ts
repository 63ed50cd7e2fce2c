/** What the server says of itself; only for those who may see the account. */
import { call } from "../api/client";
import { API } from "../api/connection";
import { type Loaded, type Question, useLoaded } from "../api/load";
import { may } from "../api/session";
import type { ServerView } from "../api/types";

export const SERVER: Question<ServerView | null> = ["server", async (signal) => (may("account:read") ? (await call("GET /server", {}, { signal })).server : null)];

export function useServer(): Loaded<ServerView | null> {
  return useLoaded(...SERVER);
}

/** Where customers' programs find the server: behind a proxy the page may know it by another address. */
export function addressOf(server: ServerView | null | undefined): URL {
  return server?.public_url ? new URL(`${server.public_url.replace(/\/$/, "")}/`) : API;
}

/** Whether only programs on the server's own machine come there. */
export function isOfThisMachine(address: URL): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(address.hostname);
}

/** What a customer runs; a script that runs without a key has none. */
export function loaderOf(script: string, address: URL, key: string | null): string {
  const load = `loadstring(game:HttpGet("${new URL(`loader/${script}`, address)}"))()`;
  return key === null ? load : `script_key = "${key}"\n${load}`;
}
