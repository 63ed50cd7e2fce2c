/** A box over the page. Focus goes into it and comes back; Esc and the cross close it. */
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { text } from "../text/en/shell";
import { Icon } from "./icons";

interface Props {
  title: string;
  onClose: () => void;
  isLarge?: boolean;
  children: ComponentChildren;
}

/** Go to its first field, where the focus is still at its head: who is asked for something need not pass by the cross first. */
export function enterField(box: HTMLDialogElement | null | undefined): void {
  const at = document.activeElement;
  if (!box?.open || !(at === box || at?.closest("dialog header"))) return;
  box.querySelector<HTMLElement>("form :is(input, select, textarea)")?.focus();
}

/** Shows it over everything; when it is gone, the focus is where it was. */
export function useModal(box: RefObject<HTMLDialogElement | null>): void {
  useEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    enterField(box.current);
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
}

export function Dialog({ title, onClose, isLarge = false, children }: Props) {
  const box = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useModal(box);
  return (
    <dialog ref={box} class={isLarge ? "box large" : "box"} aria-labelledby={heading} onClose={onClose}>
      <div class="inside">
        <header>
          <h2 id={heading}>{title}</h2>
          <button type="button" class="plain small icon" aria-label={text.common.close} onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
