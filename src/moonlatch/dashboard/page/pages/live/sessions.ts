/** The open sessions of a script, as they come and go. While somebody points at the list, nothing moves under the pointer. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { call } from "../../api/client";
import { useNews } from "../../api/news";
import type { SessionView } from "../../api/types";

const SHOWN = 200;
const AT_ONCE = 1000;
const MOST = 10_000;
/** Sessions whose script is not followed, or whose news are late. */
const PAUSE_MS = 15_000;

export interface Filter {
  key: string;
  roblox_id: string;
  place_id: string;
  job_id: string;
}

export interface Sessions {
  shown: ReadonlySignal<readonly SessionView[] | undefined>;
  /** Shown still, but gone. */
  gone: ReadonlySignal<ReadonlySet<string>>;
  /** How many came while the list is held. */
  waiting: ReadonlySignal<number>;
  /** Whether there are more than are shown. */
  isPartial: ReadonlySignal<boolean>;
  error: ReadonlySignal<unknown>;
  hold: (isHeld: boolean) => void;
  reload: () => Promise<void>;
}

export function useSessions(project: string, script: string, filter: Filter): Sessions {
  const sessions = useMemo(() => watch(script, filter), [script, JSON.stringify(filter)]);
  useEffect(() => sessions.run(), [sessions]);
  useNews(project, (news) => news.scripts.find((each) => each.id === script), () => void sessions.reload());
  return sessions;
}

async function page(script: string, filter: Filter, from: number, limit: number, stop?: AbortSignal): Promise<SessionView[]> {
  const at = { script_id: script };
  const more = stop ? { signal: stop } : {};
  const reply = Object.values(filter).some(Boolean)
    ? await call("GET /scripts/{script_id}/sessions/filter", at, { query: { ...filter, from, limit }, ...more })
    : await call("POST /scripts/{script_id}/sessions", at, { body: { from, limit }, ...more });
  return reply.sessions;
}

/** All that match, up to as many as anybody may have. */
export async function everyMatching(script: string, filter: Filter): Promise<SessionView[]> {
  const found: SessionView[] = [];
  for (let from = 0; from < MOST; from += AT_ONCE) {
    const part = await page(script, filter, from, AT_ONCE);
    found.push(...part);
    if (part.length < AT_ONCE) break;
  }
  return found;
}

function watch(script: string, filter: Filter): Sessions & { run: () => () => void } {
  const shown = signal<readonly SessionView[] | undefined>(undefined);
  const gone = signal<ReadonlySet<string>>(new Set());
  const waiting = signal(0);
  const isPartial = signal(false);
  const error = signal<unknown>(undefined);
  let latest: readonly SessionView[] = [];
  let isHeld = false;

  function take() {
    const before = shown.value;
    if (!isHeld || before === undefined || before.length === 0) {
      shown.value = latest;
      gone.value = new Set();
      waiting.value = 0;
      return;
    }
    const there = new Set(latest.map((session) => session.id));
    const known = new Set(before.map((session) => session.id));
    gone.value = new Set(before.filter((session) => !there.has(session.id)).map((session) => session.id));
    waiting.value = latest.filter((session) => !known.has(session.id)).length;
  }

  async function load(stop?: AbortSignal) {
    try {
      latest = await page(script, filter, 0, SHOWN, stop);
      isPartial.value = latest.length === SHOWN;
      error.value = undefined;
      take();
    } catch (failure) {
      if (!stop?.aborted) error.value = failure;
    }
  }

  function run() {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const next = async () => {
      if (!document.hidden) await load(stop.signal);
      if (!stop.signal.aborted) timer = setTimeout(next, PAUSE_MS);
    };
    void next();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }

  return {
    shown,
    gone,
    waiting,
    isPartial,
    error,
    run,
    reload: () => load(),
    hold: (held) => {
      isHeld = held;
      if (!held && shown.value !== undefined) take();
    },
  };
}
