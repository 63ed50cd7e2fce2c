/** Data that a page shows: asked for when the page comes or what it depends on changes, shown as it was until the new is there. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { useLayoutEffect, useMemo } from "preact/hooks";
import { revivals } from "./connection";

const KEPT = 60;
const kept = new Map<string, unknown>();
/** For so long an answer that was asked for ahead is one of now. */
const AHEAD_MS = 2000;
const asked = new Map<string, { at: number; answer: Promise<unknown> }>();

/** What is loaded: a name, which says all that the answer depends on, and how it is asked for. */
export type Question<T> = readonly [name: string, load: (signal: AbortSignal) => Promise<T>];

export interface Loaded<T> {
  /** undefined until something is there. */
  data: ReadonlySignal<T | undefined>;
  error: ReadonlySignal<unknown>;
  isLoading: ReadonlySignal<boolean>;
  reload: () => Promise<void>;
  /** Show this until the next load. */
  set: (data: T) => void;
}

/**
 * Load by `name`, which says all that the answer depends on; the last answer under a name is shown at once.
 * With another `version` it is asked for again, and shown as it was until then.
 */
export function useLoaded<T>(name: string, load: (signal: AbortSignal) => Promise<T>, version: unknown = null): Loaded<T> {
  const loader = useMemo(() => {
    const data = signal<T | undefined>(kept.get(name) as T | undefined);
    const error = signal<unknown>(undefined);
    const isLoading = signal(true);
    let stop = new AbortController();
    const set = (value: T) => {
      data.value = value;
      keep(name, value);
    };
    const reload = async () => {
      stop.abort();
      const own = (stop = new AbortController());
      isLoading.value = true;
      try {
        const value = await (taken<T>(name) ?? load(own.signal));
        if (own.signal.aborted) return;
        set(value);
        error.value = undefined;
      } catch (failure) {
        if (own.signal.aborted) return;
        error.value = failure;
      }
      isLoading.value = false;
    };
    return { data, error, isLoading, reload, set, end: () => stop.abort() };
  }, [name]);
  const revival = revivals.value;
  // Not when the page has been painted first: what is asked for a frame later is there a frame later.
  useLayoutEffect(() => {
    void loader.reload();
    return loader.end;
  }, [loader, revival, version]);
  return loader;
}

/**
 * Ask at once for what parts of a page load as soon as they are shown, which is when something else is there.
 * They are given these answers, and ask by themselves from then on.
 */
export function askAhead(...questions: Question<unknown>[]): void {
  for (const [name, load] of questions) {
    if (kept.has(name)) continue;
    const answer = load(new AbortController().signal);
    // Whoever it was asked for is told; where nobody is there any more, nobody need be.
    answer.catch(() => undefined);
    asked.set(name, { at: performance.now(), answer });
  }
}

function taken<T>(name: string): Promise<T> | undefined {
  const ahead = asked.get(name);
  asked.delete(name);
  return ahead && performance.now() - ahead.at < AHEAD_MS ? (ahead.answer as Promise<T>) : undefined;
}

/** Nothing of one person is shown to the next. */
export function forgetLoaded(): void {
  kept.clear();
  asked.clear();
}

function keep(name: string, value: unknown): void {
  kept.delete(name);
  kept.set(name, value);
  const oldest = kept.keys().next();
  if (kept.size > KEPT && !oldest.done) kept.delete(oldest.value);
}
