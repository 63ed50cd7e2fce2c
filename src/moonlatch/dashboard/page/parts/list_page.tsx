/** A page that lists a project's things of one kind, and where one is added; each thing has a page of its own. */
import type { ComponentChildren, Key } from "preact";
import type { Loaded } from "../api/load";
import { place, refine } from "../shell/router";
import { Icon } from "./icons";
import { Empty, Shown } from "./status";
import { type Column, Table } from "./table";

interface Props<T> {
  words: { title: string; more: string; add: string; none: string; noneMore: string };
  loaded: Loaded<T[]>;
  columns: Column<T>[];
  keyOf: (thing: T) => Key;
  /** What the address says while one is added, as `new`. */
  adding: string;
  mayAdd: boolean;
  /** Shown while one is added. */
  children: ComponentChildren;
}

export function ListPage<T>({ words, loaded, columns, keyOf, adding, mayAdd, children }: Props<T>) {
  return (
    <div class="stack">
      <div class="head">
        <div>
          <h1>{words.title}</h1>
          <p>{words.more}</p>
        </div>
        {mayAdd && (
          <button type="button" class="primary" onClick={() => refine({ new: adding })}>
            <Icon name="plus" />
            {words.add}
          </button>
        )}
      </div>
      <section class="card flush">
        <Shown loaded={loaded}>
          {(things) =>
            things.length === 0 ? (
              <Empty title={words.none}>
                <p>{words.noneMore}</p>
              </Empty>
            ) : (
              <Table caption={words.title} rows={things} keyOf={keyOf} columns={columns} />
            )
          }
        </Shown>
      </section>
      {place.value.query.get("new") === adding && children}
    </div>
  );
}
