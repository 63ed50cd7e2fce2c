/** Text to be taken along. */
import { useSignal } from "@preact/signals";
import { text } from "../text/en/shell";
import { Icon } from "./icons";
import { tell } from "./toast";

const SHOWN_MS = 1600;

export function CopyButton({ value, label = text.common.copy, isSmall = false }: { value: string; label?: string; isSmall?: boolean }) {
  const isCopied = useSignal(false);
  async function copy() {
    try {
      await navigator.clipboard.writeText(value);
      isCopied.value = true;
      setTimeout(() => (isCopied.value = false), SHOWN_MS);
    } catch {
      tell(text.common.copyFailed, true);
    }
  }
  return (
    <button type="button" class={isSmall ? "small icon plain" : ""} aria-label={label} title={label} onClick={copy}>
      <Icon name={isCopied.value ? "check" : "copy"} />
      {!isSmall && (isCopied.value ? text.common.copied : text.common.copy)}
    </button>
  );
}

/** A line of code with its button. */
export function Copyable({ value, label, isWrapped = false }: { value: string; label: string; isWrapped?: boolean }) {
  return (
    <div class={isWrapped ? "copyable wrap" : "copyable"}>
      <code tabIndex={0} role="group" aria-label={label}>
        {value}
      </code>
      <CopyButton value={value} label={`${text.common.copy}: ${label}`} />
    </div>
  );
}
