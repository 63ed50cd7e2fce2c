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
export function beforehand(load: () => Promise<unknown>): void {
  load().catch(() => undefined);
}
