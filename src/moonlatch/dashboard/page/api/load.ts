/** Data that a page shows: asked for when the page comes or what it depends on changes, shown as it was until the new is there. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { revivals } from "./connection";

const KEPT = 60;
const kept = new Map<string, unknown>();

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
        const value = await load(own.signal);
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
  useEffect(() => {
    void loader.reload();
    return loader.end;
  }, [loader, revival, version]);
  return loader;
}

/** Nothing of one person is shown to the next. */
export function forgetLoaded(): void {
  kept.clear();
}

function keep(name: string, value: unknown): void {
  kept.delete(name);
  kept.set(name, value);
  const oldest = kept.keys().next();
  if (kept.size > KEPT && !oldest.done) kept.delete(oldest.value);
}
