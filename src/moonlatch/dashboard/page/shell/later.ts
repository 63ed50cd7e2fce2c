/** Parts of the page that are fetched when they are wanted: also after the server was away, and after it has a newer page. */
import { lost } from "../api/connection";

/** What `load` imports. Where the server has other files by now, the whole page is fetched anew, at the same place. */
export async function later<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch {
    await lost();
    try {
      return await load();
    } catch (failure) {
      location.reload();
      throw failure;
    }
  }
}

/** Fetch beforehand what somebody is about to want; without a word where that fails. */
export function beforehand(load: () => Promise<unknown>): Promise<unknown> {
  return load().catch(() => undefined);
}

/**
 * Fetch beforehand what somebody may want one day: while the browser has nothing else to do, one after the other, so that
 * what is wanted meanwhile waits for one of them at most. Not for whoever pays for each byte.
 */
export async function inSpareTime(loads: Iterable<() => Promise<unknown>>): Promise<void> {
  if ((navigator as { connection?: { saveData?: boolean } }).connection?.saveData) return;
  for (const load of loads) {
    // Safari has no word for it.
    await new Promise<unknown>((resolve) => (self.requestIdleCallback ?? setTimeout)(resolve));
    await beforehand(load);
  }
}
