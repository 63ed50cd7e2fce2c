/** Events as people read them: what, to whom, by whom, and what became of each field. */
import type { EventView } from "../api/types";
import { Time } from "../parts/time";
import { to } from "../shell/router";
import { text } from "../text/en/events";

export function EventList({ events, isShort = false }: { events: readonly EventView[]; isShort?: boolean }) {
  return (
    <ul class="timeline">
      {events.map((event) => (
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
  const label = resource.label ?? text.erased;
  const page = { user: "keys", script: "scripts", endpoint: "webhooks" }[resource.kind];
  if (resource.kind === "project" && project) return <a href={to(`/projects/${project}/overview`)}>{label}</a>;
  return page && project && resource.label !== null ? <a href={to(`/projects/${project}/${page}/${resource.id}`)}>{label}</a> : <span>{label}</span>;
}

function Changes({ changes }: { changes: Record<string, unknown[]> }) {
  const lines = Object.entries(changes).map(([field, [before, after]]) => `${field}: ${shown(before)} → ${shown(after)}`);
  return lines.length === 0 ? null : <span class="changes">{lines.join(" · ")}</span>;
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}
