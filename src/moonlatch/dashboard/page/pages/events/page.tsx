/** The audit log, of a project or of the whole account. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import type { EventView, Operations } from "../../api/types";
import { current } from "../../data/projects";
import { EventList } from "../../data/events";
import { download } from "../../parts/download";
import { Choice, TextField } from "../../parts/form";
import { Icon } from "../../parts/icons";
import { Empty, Shown } from "../../parts/status";
import { tellFailure } from "../../parts/toast";
import type { PageProps } from "../../shell/pages";
import { place, refine } from "../../shell/router";
import { text } from "../../text/en/events";
import { text as shell } from "../../text/en/shell";

type Query = Operations["GET /events"]["query"];
const FILTERS = ["kind", "resource", "actor", "since", "until"] as const;
const SIZE = 50;
const EXPORT_SIZE = 1000;
const MOST_EXPORTED = 100_000;

export default function Events({ project }: PageProps) {
  const given = Object.fromEntries(FILTERS.map((name) => [name, place.value.query.get(name) ?? ""])) as Record<(typeof FILTERS)[number], string>;
  const query: Query = {
    kind: given.kind || null,
    resource: given.resource || null,
    actor: given.actor || null,
    since: millisecondsOf(given.since),
    until: millisecondsOf(given.until),
  };
  const name = `events ${project} ${JSON.stringify(query)}`;
  const ask = (more: Query, signal?: AbortSignal) =>
    project
      ? call("GET /projects/{project_id}/events", { project_id: project }, { query: { ...query, ...more }, ...(signal && { signal }) })
      : call("GET /events", {}, { query: { ...query, ...more }, ...(signal && { signal }) });
  const loaded = useLoaded(name, (signal) => ask({ limit: SIZE }, signal));
  useNews(project || (current.value?.id ?? ""), (news) => news.event, () => void loaded.reload());
  const isExporting = useSignal(false);

  async function exportAll() {
    isExporting.value = true;
    try {
      const lines: string[] = [];
      let cursor: string | null = null;
      do {
        const page: { events: EventView[]; next: string | null } = await ask({ limit: EXPORT_SIZE, cursor });
        lines.push(...page.events.map((event) => JSON.stringify(event)));
        cursor = page.next;
      } while (cursor && lines.length < MOST_EXPORTED);
      download("events.ndjson", "application/x-ndjson", `${lines.join("\n")}\n`);
    } catch (failure) {
      tellFailure(failure);
    } finally {
      isExporting.value = false;
    }
  }

  return (
    <div class="stack">
      <div class="head">
        <div>
          <h1>{project ? text.title : text.accountTitle}</h1>
          <p>{text.more}</p>
        </div>
        <button type="button" title={text.exportHint} disabled={isExporting.value} onClick={exportAll}>
          {isExporting.value ? <span class="spin" /> : <Icon name="download" />}
          {text.export}
        </button>
      </div>
      <Filters given={given} />
      <section class="card">
        <Shown loaded={loaded}>{(first) => <Pages key={name} first={first} more={(cursor) => ask({ limit: SIZE, cursor })} />}</Shown>
      </section>
    </div>
  );
}

function Filters({ given }: { given: Record<(typeof FILTERS)[number], string> }) {
  const change = (event: Event & { currentTarget: HTMLInputElement | HTMLSelectElement }) => refine({ [event.currentTarget.name]: event.currentTarget.value });
  return (
    <section class="card fields two" aria-label={text.filter}>
      <Choice name="kind" label={text.kind} options={[["", text.anyKind], ...Object.entries(text.kinds)]} value={given.kind} onChange={change} />
      <TextField name="since" label={text.since} type="datetime-local" value={given.since} onChange={change} />
      <TextField name="until" label={text.until} type="datetime-local" value={given.until} onChange={change} />
      <TextField name="resource" label={text.resource} value={given.resource} maxLength={64} onChange={change} />
      <TextField name="actor" label={text.actor} value={given.actor} maxLength={64} onChange={change} />
    </section>
  );
}

interface EventsPage {
  events: EventView[];
  next: string | null;
}

function Pages({ first, more }: { first: EventsPage; more: (cursor: string) => Promise<EventsPage> }) {
  const added = useSignal<EventView[]>([]);
  const next = useSignal(first.next);
  useEffect(() => {
    added.value = [];
    next.value = first.next;
  }, [first]);
  if (first.events.length === 0) {
    return (
      <Empty title={text.none}>
        <p>{text.noneMore}</p>
      </Empty>
    );
  }
  async function showMore(cursor: string) {
    try {
      const page = await more(cursor);
      added.value = [...added.value, ...page.events];
      next.value = page.next;
    } catch (failure) {
      tellFailure(failure);
    }
  }
  const cursor = next.value;
  return (
    <>
      <EventList events={[...first.events, ...added.value]} />
      {cursor && (
        <button type="button" onClick={() => void showMore(cursor)}>
          {shell.common.more}
        </button>
      )}
    </>
  );
}

function millisecondsOf(local: string): number | null {
  const at = new Date(local).getTime();
  return Number.isNaN(at) ? null : at;
}
