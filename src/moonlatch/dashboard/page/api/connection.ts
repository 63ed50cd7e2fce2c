/** Whether the server can be reached; once it cannot, asks until it can, and tells whoever waits. */
import { signal } from "@preact/signals";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/** The address of the API: the page is one step below it, also behind a proxy's path. */
export const API = new URL("..", document.baseURI.split("#")[0]);

export const isConnected = signal(true);

/** Counts how often the connection came back: who shows data reads it, and asks again. */
export const revivals = signal(0);

let healing: Promise<void> | null = null;

/** Note that the server did not answer; gives a promise that is kept when it does again. */
export function lost(): Promise<void> {
  isConnected.value = false;
  healing ??= heal().finally(() => {
    healing = null;
    isConnected.value = true;
    revivals.value += 1;
  });
  return healing;
}

async function heal(): Promise<void> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    await waited(pause);
    try {
      if ((await fetch(new URL("health/live", API), { cache: "no-store" })).ok) return;
    } catch {
      // still away
    }
  }
}

/** Until the pause is over, or the machine says that it is on the network again. */
function waited(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
  });
}
