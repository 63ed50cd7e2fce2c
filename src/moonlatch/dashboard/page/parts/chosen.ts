/** Rows of a table that somebody has chosen, by their ids. */
import type { Signal } from "@preact/signals";

/** What takes rows into a choice, or out of it. */
export function choosing(chosen: Signal<ReadonlySet<string>>): (ids: string[], isChosen: boolean) => void {
  return (ids, isChosen) => {
    const next = new Set(chosen.value);
    for (const id of ids) isChosen ? next.add(id) : next.delete(id);
    chosen.value = next;
  };
}
