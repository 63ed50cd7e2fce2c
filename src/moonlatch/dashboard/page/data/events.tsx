/** Events as people read them: what, to whom, by whom, and what became of each field. */
import type { EventView } from "../api/types";
import { useFirstRows } from "../parts/first_rows";
import { moment, Time } from "../parts/time";
import { to } from "../shell/router";
import { text } from "../text/en/events";
import { text as shell } from "../text/en/shell";

/** September 2001 in Unix milliseconds: no other number of an event is as large. */
const FIRST_MOMENT = 1e12;
/** So much of an id tells it from others. */
const SHORT = 8;

export function EventList({ events, isShort = false }: { events: readonly EventView[]; isShort?: boolean }) {
  const drawn = useFirstRows(events);
  return (
    <ul class="timeline">
      {drawn.map((event) => (
        <li key={event.id}>
          <span>
            <strong>{text.kinds[event.kind] ?? event.kind}</strong> <Resource event={event} />
          </span>
          <span class="small quiet">
            <Time at={event.at} />
          </span>
          <span class="changes">
            {`${event.actor.name} (${text.actors[event.actor.kind] ?? event.actor.kind})`}
            {!isShort && event.actor.address && ` ${text.from(event.actor.address)}`}
          </span>
          {!isShort && <Changes changes={event.changes} />}
        </li>
      ))}
    </ul>
  );
}

function Resource({ event: { resource, project_id: project } }: { event: EventView }) {
  // A session is called after its server, which not every program has.
  const label = resource.label ?? (resource.kind === "session" ? `${resource.id.slice(0, SHORT)}…` : text.erased);
  const page = { user: "keys", script: "scripts", endpoint: "webhooks", ad_system: "checkpoints" }[resource.kind];
  if (resource.kind === "project" && project) return <a href={to(`/projects/${project}/overview`)}>{label}</a>;
  return page && project && resource.label !== null ? <a href={to(`/projects/${project}/${page}/${resource.id}`)}>{label}</a> : <span>{label}</span>;
}

function Changes({ changes }: { changes: Record<string, unknown[]> }) {
  const lines = Object.entries(changes).flatMap(([field, [before = null, after = null]]) => {
    if (before === null && after === null) return [];
    const name = field.replaceAll("_", " ");
    return before === null ? `${name}: ${shown(after)}` : `${name}: ${shown(before)} → ${shown(after)}`;
  });
  return lines.length === 0 ? null : <span class="changes">{lines.join(" · ")}</span>;
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return shell.common.none;
  if (typeof value === "number" && value > FIRST_MOMENT) return moment(value);
  if (Array.isArray(value)) return value.map(shown).join(", ") || shell.common.none;
  return typeof value === "string" ? value : JSON.stringify(value);
}
