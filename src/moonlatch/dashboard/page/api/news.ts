/**
 * What is new in the project that is looked at: one stream for the whole page, which every part of it listens to.
 * Read by `fetch` and not by `EventSource`, which could not say who asks where that is a token.
 */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { API, lost } from "./connection";
import { credentials, signedOut } from "./session";
import type { NewsView } from "./types";

const PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30_000;
/** Nothing at all for so long, not even a sign of life: the connection is dead and nobody said so. */
const SILENCE_MS = 40_000;

const news = signal<{ project: string; news: NewsView } | null>(null);

/** Follow a project until the returned function is called. While nobody looks at the page, nothing is asked. */
export function follow(project: string): () => void {
  const stop = new AbortController();
  void (async () => {
    for (let pause = PAUSE_MS; !stop.signal.aborted; ) {
      await visible(stop.signal);
      if (stop.signal.aborted) return;
      const begun = Date.now();
      const wait = await listen(project, stop.signal);
      if (wait === null) return;
      pause = Date.now() - begun > PAUSE_MS ? PAUSE_MS : Math.min(pause * 2, LONGEST_PAUSE_MS);
      await new Promise((resolve) => setTimeout(resolve, Math.max(wait, pause / 2)));
    }
  })();
  return () => stop.abort();
}

/** Call back whenever what `part` picks of the project's news is another than before. */
export function useNews(project: string, part: (news: NewsView) => unknown, changed: () => void): void {
  const known = useRef<string | null>(null);
  const now = news.value?.project === project ? JSON.stringify(part(news.value.news) ?? null) : null;
  useEffect(() => {
    if (now !== null && known.current !== null && known.current !== now) changed();
    if (now !== null) known.current = now;
  }, [now]);
}

/** One stream to its end; gives how long to wait before the next, null where there is none for this person. */
async function listen(project: string, stop: AbortSignal): Promise<number | null> {
  const own = new AbortController();
  const end = () => own.abort();
  stop.addEventListener("abort", end);
  document.addEventListener("visibilitychange", () => document.hidden && end(), { signal: own.signal });
  let silence = setTimeout(end, SILENCE_MS);
  try {
    const address = new URL(`projects/${encodeURIComponent(project)}/news`, API);
    const response = await fetch(address, { headers: { accept: "text/event-stream", ...credentials(false) }, cache: "no-store", signal: own.signal });
    if (response.status === 401) signedOut();
    if (response.status === 429 || response.status === 503) return Number(response.headers.get("retry-after") ?? "2") * 1000;
    if (!response.ok || !response.body) return null;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) return 0;
      clearTimeout(silence);
      silence = setTimeout(end, SILENCE_MS);
      const messages = (rest + value).split("\n\n");
      rest = messages.pop() ?? "";
      for (const message of messages) {
        const data = /^data: (.*)$/m.exec(message)?.[1];
        if (data && !stop.aborted) news.value = { project, news: JSON.parse(data) as NewsView };
      }
    }
  } catch {
    // Ended by ourselves, or the server is away: then everybody is told, and we wait with them.
    if (!own.signal.aborted) await lost();
    return 0;
  } finally {
    clearTimeout(silence);
    stop.removeEventListener("abort", end);
    own.abort();
  }
}

function visible(stop: AbortSignal): Promise<void> {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      if (document.hidden && !stop.aborted) return;
      document.removeEventListener("visibilitychange", done);
      stop.removeEventListener("abort", done);
      resolve();
    };
    document.addEventListener("visibilitychange", done);
    stop.addEventListener("abort", done);
  });
}
