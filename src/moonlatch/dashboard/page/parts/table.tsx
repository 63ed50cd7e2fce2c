/** Tables: rows of things with a name for each column, which narrow screens show as cards. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren, Key } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useFirstRows } from "./first_rows";

export interface Column<T> {
  label: string;
  /** The thing's name: first, and without its label where it stands as a card. */
  isLead?: boolean;
  isEnd?: boolean;
  /** Buttons, at the row's end. They say themselves what they do: the label is for who hears the column's head alone. */
  isAction?: boolean;
  /** In place of the label at the column's head. */
  head?: ComponentChildren;
  show: (row: T) => ComponentChildren;
}

interface Props<T> {
  caption: string;
  columns: Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => Key;
  /** The style of a row. */
  nameOf?: (row: T) => string | undefined;
}

export function Table<T>({ caption, columns, rows, keyOf, nameOf }: Props<T>) {
  const styleOf = (column: Column<T>) => [column.isLead && "lead", (column.isEnd || column.isAction) && "end"].filter(Boolean).join(" ") || undefined;
  const drawn = useFirstRows(rows);
  const box = useRef<HTMLDivElement>(null);
  // What is scrolled sideways must be reached by the keyboard, and be called something.
  const isScrolled = useSignal(false);
  useEffect(() => {
    const place = box.current;
    if (!place) return;
    const watch = new ResizeObserver(() => (isScrolled.value = place.scrollWidth > place.clientWidth));
    watch.observe(place);
    return () => watch.disconnect();
  }, []);
  const reached = isScrolled.value ? { tabIndex: 0, role: "region" as const, "aria-label": caption } : {};
  return (
    <div class="table" ref={box} {...reached}>
      <table>
        <caption class="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.label} scope="col" class={styleOf(column)}>
                {column.head ?? (column.isAction ? <span class="visually-hidden">{column.label}</span> : column.label)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {drawn.map((row) => (
            <tr key={keyOf(row)} class={nameOf?.(row)}>
              {columns.map((column) => (
                <td key={column.label} data-label={column.isAction ? "" : column.label} class={styleOf(column)}>
                  {column.show(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
