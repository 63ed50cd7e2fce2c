/** What is open over the page: the search of everything, and the list of keys. */
import { signal } from "@preact/signals";

export const isOpen = signal(false);
export const areShortcutsShown = signal(false);
