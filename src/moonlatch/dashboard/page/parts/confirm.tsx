/** Asks before what cannot be taken back; asks for the name where that destroys much. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { text } from "../text/en/shell";
import { Dialog } from "./dialog";
import { type Entered, Form, TextField } from "./form";

interface Props {
  title: string;
  /** What is to be typed; without it a click is enough. */
  name?: string;
  submit: string;
  isDisabled?: boolean;
  run: (entered: Entered) => Promise<void>;
  onClose: () => void;
  children?: ComponentChildren;
}

export function Confirm({ title, name, submit, isDisabled = false, run, onClose, children }: Props) {
  const typed = useSignal("");
  const isRight = name === undefined || typed.value.trim() === name.trim();
  return (
    <Dialog title={title} onClose={onClose}>
      <Form submit={submit} isDanger isDisabled={isDisabled || !isRight} onCancel={onClose} run={run}>
        {children}
        {name !== undefined && (
          <TextField name="confirmed" label={text.common.typeName(name)} onInput={(event) => (typed.value = event.currentTarget.value)} />
        )}
      </Form>
    </Dialog>
  );
}
