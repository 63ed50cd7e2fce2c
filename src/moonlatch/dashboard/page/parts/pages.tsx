/** Below a list that is shown in parts: which part it is, and the way to the others. */
import type { ComponentChildren } from "preact";
import { refine } from "../shell/router";
import { text } from "../text/en/shell";
import { numberOf } from "./time";

interface Props {
  /** The first that is shown, from 0, and how many. */
  from: number;
  many: number;
  /** How many are shown at once. */
  size: number;
  /** How many there are, in words; nothing where nobody knows. */
  total?: string;
  isLast: boolean;
  children?: ComponentChildren;
}

/** The part's beginning stands in the address, as `from`. */
export function Foot({ from, many, size, total, isLast, children }: Props) {
  const part = many === 0 ? "0" : `${numberOf(from + 1)}–${numberOf(from + many)}`;
  return (
    <div class="foot">
      <span class="number" role="status">
        {total ? text.common.of(part, total) : part}
      </span>
      {children}
      <div class="row">
        <button type="button" class="small" disabled={from === 0} onClick={() => refine({ from: String(Math.max(0, from - size)) })}>
          {text.common.previous}
        </button>
        <button type="button" class="small" disabled={isLast} onClick={() => refine({ from: String(from + many) })}>
          {text.common.next}
        </button>
      </div>
    </div>
  );
}
