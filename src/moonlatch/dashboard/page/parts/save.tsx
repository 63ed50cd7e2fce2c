/** A form that changes something others may change too: says so when they did, and lets the person choose. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { isConflict } from "../api/errors";
import { text } from "../text/en/shell";
import { type Entered, Form } from "./form";
import { tell } from "./toast";

interface Props {
  /** The version that was read. */
  etag: string | null;
  run: (entered: Entered, etag: string | null) => Promise<void>;
  /** Read it anew, and show what is there now. */
  reload: () => Promise<void>;
  submit?: string;
  children: ComponentChildren;
}

export function SaveForm({ etag, run, reload, submit = text.common.save, children }: Props) {
  const newer = useSignal<string | null>(null);
  const times = useSignal(0);
  // What others do meanwhile does not touch what is being written: it is compared when it is saved.
  const held = useRef(etag);
  const isOwnChange = useRef(false);
  if (isOwnChange.current && etag !== held.current) {
    held.current = etag;
    isOwnChange.current = false;
  }
  // Nor does it change the fields: what is saved over the other's change is what the person sees.
  const shown = useRef(children);
  if (etag === held.current) shown.current = children;
  async function adopt() {
    isOwnChange.current = true;
    await reload();
  }
  return (
    <Form
      key={times.value}
      submit={newer.value === null ? submit : text.conflict.overwrite}
      run={async (entered) => {
        await run(entered, newer.value ?? held.current);
        newer.value = null;
        tell(text.common.saved);
        await adopt();
      }}
      onFailure={(failure) => {
        if (!isConflict(failure)) return false;
        newer.value = failure.detail.etag ?? "*";
        return true;
      }}
    >
      {newer.value !== null && (
        <div class="alert warn" role="alert">
          <strong>{text.conflict.title}</strong>
          <span>{text.conflict.explain}</span>
          <div>
            <button
              type="button"
              class="small"
              onClick={async () => {
                await adopt();
                newer.value = null;
                times.value += 1;
              }}
            >
              {text.conflict.reload}
            </button>
          </div>
        </div>
      )}
      {shown.current}
    </Form>
  );
}
