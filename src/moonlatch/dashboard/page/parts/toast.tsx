/** Short words about what has just happened, read out where somebody listens. */
import { signal } from "@preact/signals";
import { wordsOf } from "../api/errors";
import { text } from "../text/en/shell";
import { Icon } from "./icons";

interface Toast {
  id: number;
  words: string;
  isBad: boolean;
}

const SHOWN_MS = 6000;
const MOST = 3;
const toasts = signal<Toast[]>([]);
let last = 0;

export function tell(words: string, isBad = false): void {
  const id = ++last;
  toasts.value = [...toasts.value.slice(1 - MOST), { id, words, isBad }];
  if (!isBad) setTimeout(() => dismiss(id), SHOWN_MS);
}

export function tellFailure(failure: unknown): void {
  tell(wordsOf(failure) || text.failure.lost, true);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={toast.isBad ? "toast bad" : "toast"}>
          <span class="grow">{toast.words}</span>
          <button type="button" class="plain small icon" aria-label={text.common.close} onClick={() => dismiss(toast.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
