/** Of a long list, what a window has place for is drawn at once; the rest when that is painted and the browser has nothing else to do. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** Every list has the page's heading above it, and no row of one is lower. */
const ABOVE_PX = 200;
const ROW_PX = 40;
const FEWEST = 8;
/** Whoever scrolls at once does not find the end of the list missing. */
const LATEST_MS = 200;
const PAUSE_MS = 16;

/** Those of the rows that are drawn by now. A list that was shown as a whole stays whole, whatever is added to it. */
export function useFirstRows<T>(rows: readonly T[]): readonly T[] {
  const fitting = Math.max(FEWEST, Math.ceil((innerHeight - ABOVE_PX) / ROW_PX));
  const isWhole = useSignal(rows.length <= fitting);
  useEffect(() => (isWhole.value ? undefined : whenIdle(() => (isWhole.value = true))), []);
  return isWhole.value ? rows : rows.slice(0, fitting);
}

/** Not while other parts of the page are on their way: they would wait for rows that nobody sees yet. */
function whenIdle(run: () => void): () => void {
  const latest = performance.now() + LATEST_MS;
  let isOver = false;
  const look = () => {
    if (isOver) return;
    if (performance.now() >= latest || !document.querySelector("main [aria-busy=true]")) run();
    else setTimeout(ask, PAUSE_MS);
  };
  // Safari has no word for it.
  const ask = () => void ("requestIdleCallback" in self ? requestIdleCallback(look, { timeout: LATEST_MS }) : setTimeout(look));
  ask();
  return () => {
    isOver = true;
  };
}
