/** How a project does: what runs now, what ran, who may run it, and what was done last. */
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { call, type ReplyOf } from "../../api/client";
import { askAhead, type Loaded, type Question, useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import type { ScriptView } from "../../api/types";
import { current, remember } from "../../data/projects";
import { EventList } from "../../data/events";
import { scriptsOf, useScripts } from "../../data/scripts";
import { Bars, daysOf } from "../../parts/bars";
import { Empty, Shown } from "../../parts/status";
import { moment, numberOf, Time } from "../../parts/time";
import type { PageProps } from "../../shell/pages";
import { to } from "../../shell/router";
import { text } from "../../text/en/overview";
import { text as reasons } from "../../text/en/refusals";
import { Failing } from "./failing";
import { FirstSteps } from "./first_steps";

const STATES = ["active", "unused", "expired", "blacklisted", "held"] as const;
const LATEST = 8;

function executionsOf(project: string): Question<ByScript> {
  return [`overview executions ${project}`, async (signal) => (await call("GET /projects/{project_id}/executions", { project_id: project }, { signal })).executions];
}

function countsOf(project: string): Question<ReplyOf<"GET /projects/{project_id}/users/counts">["counts"]> {
  return [`overview keys ${project}`, async (signal) => (await call("GET /projects/{project_id}/users/counts", { project_id: project }, { signal })).counts];
}

function refusalsOf(project: string): Question<ReplyOf<"GET /projects/{project_id}/refusals">> {
  return [`overview refusals ${project}`, (signal) => call("GET /projects/{project_id}/refusals", { project_id: project }, { signal })];
}

export default function Overview({ project }: PageProps) {
  useEffect(() => remember(project), [project]);
  // A browser asks five or six questions at a time: what stands at the head of the page, and what takes longest, goes before the rest.
  useMemo(() => askAhead(executionsOf(project), scriptsOf(project), refusalsOf(project), ...(may("keys:read") ? [countsOf(project)] : [])), [project]);
  const scripts = useScripts(project);
  const executions = useLoaded(...executionsOf(project));
  // Where nothing ever ran, the first steps are what there is to see: what has nothing to say yet is left out.
  const isNew = scripts.data.value?.every((script) => script.total_executions === 0) ?? false;
  // The steps are taken by the command line too, and by colleagues.
  useNews(project, (news) => [news.scripts, isNew && news.event], () => void Promise.all([scripts.reload(), executions.reload()]));
  return (
    <div class="stack">
      <div class="head">
        <div>
          <h1>{text.title}</h1>
          <p>{current.value?.name}</p>
        </div>
      </div>
      {may("webhooks:read") && <Failing project={project} />}
      <Shown loaded={scripts}>
        {(all) => (
          <>
            {isNew && <Begin project={project} script={all.find((script) => script.enabled) ?? all[0]} />}
            <Executions isNew={isNew} loaded={executions} instances={sum(all, "total_instances")} sessions={sum(all, "total_sessions")} />
          </>
        )}
      </Shown>
      {may("keys:read") && <Keys project={project} isNew={isNew} />}
      <div class="cards wide">
        <div class="stack">
          <Refusals project={project} isNew={isNew} />
          <Executors project={project} isNew={isNew} />
        </div>
        {may("events:read") && <Latest project={project} />}
      </div>
    </div>
  );
}

function sum<N extends string>(rows: readonly Record<N, number>[], name: N): number {
  return rows.reduce((all, row) => all + row[name], 0);
}

function Begin({ project, script }: { project: string; script: ScriptView | undefined }) {
  const first = useLoaded(`overview first ${project}`, async (signal) => (await call("GET /projects/{project_id}/users", { project_id: project }, { query: { limit: 1 }, signal })).users.length > 0);
  useNews(project, (news) => news.event, () => void first.reload());
  return <FirstSteps project={project} script={script} hasKey={first.data.value ?? false} />;
}

type ByScript = Record<string, Record<string, number>>;

interface Part {
  project: string;
  /** Nothing ever ran in it. */
  isNew: boolean;
}

function Executions({ isNew, loaded, instances, sessions }: { isNew: boolean; loaded: Loaded<ByScript>; instances: number; sessions: number }) {
  const chosen = useSignal("total");
  const days = useComputed(() => {
    const all = loaded.data.value ?? {};
    return daysOf(all[chosen.value] ?? all.total ?? {});
  });
  return (
    <Shown loaded={loaded}>
      {(all) => {
        const total = Object.values(all.total ?? {});
        // Of scripts that were removed.
        if (isNew && total.every((many) => many === 0)) return null;
        return (
          <>
            <dl class="cards">
              <Figure label={text.instances} value={instances} isNow={instances > 0} />
              <Figure label={text.sessions} value={sessions} isNow={sessions > 0} />
              <Figure label={text.today} value={total.at(-1) ?? 0} />
              <Figure label={text.month} value={total.reduce((one, other) => one + other, 0)} />
            </dl>
            <section class="card">
              <header>
                <h2>{text.executions}</h2>
                <label>
                  <span class="visually-hidden">{text.script}</span>
                  <select value={chosen.value} onChange={(event) => (chosen.value = event.currentTarget.value)}>
                    <option value="total">{text.allScripts}</option>
                    {Object.keys(all)
                      .filter((name) => name !== "total")
                      .map((name) => (
                        <option key={name} value={name}>
                          {name.replace(/ - [A-Za-z0-9]{32}$/, "")}
                        </option>
                      ))}
                  </select>
                </label>
              </header>
              <Bars title={text.executions} days={days.value} />
            </section>
          </>
        );
      }}
    </Shown>
  );
}

function Figure({ label, value, isNow = false }: { label: string; value: number; isNow?: boolean }) {
  return (
    <div class="card figure">
      <dt>{label}</dt>
      <dd class={isNow ? "value now" : "value"}>{numberOf(value)}</dd>
    </div>
  );
}

function Keys({ project, isNew }: Part) {
  const loaded = useLoaded(...countsOf(project));
  useNews(project, (news) => isNew && news.event, () => void loaded.reload());
  const counts = loaded.data.value;
  if (isNew && (!counts || STATES.every((state) => !counts[state]?.users))) return null;
  return (
    <section class="card">
      <header>
        <h2>{text.keys}</h2>
      </header>
      <Shown loaded={loaded}>
        {(counts) => (
          <ul class="cards">
            {STATES.map((state) => {
              const count = counts[state];
              if (!count) return null;
              return (
                <li key={state} class="figure">
                  <a class="label" href={to(`/projects/${project}/keys`, { state })}>
                    {text.states[state]}
                  </a>
                  <span class="value">{count.is_exact ? numberOf(count.users) : text.over(numberOf(count.users))}</span>
                </li>
              );
            })}
          </ul>
        )}
      </Shown>
    </section>
  );
}

function Refusals({ project, isNew }: Part) {
  const loaded = useLoaded(...refusalsOf(project));
  if (isNew && !loaded.data.value?.refusals.length) return null;
  return (
    <section class="card">
      <header>
        <h2>{text.refusals}</h2>
        {loaded.data.value && <span class="small quiet">{text.refusalsSince(moment(loaded.data.value.since))}</span>}
      </header>
      <Shown loaded={loaded}>
        {({ refusals }) =>
          refusals.length === 0 ? (
            <p class="quiet">{text.refusalsNone}</p>
          ) : (
            <ul class="timeline">
              {refusals.slice(0, LATEST).map((each) => (
                <li key={each.code}>
                  <span>{reasons[each.code] ?? each.code}</span>
                  <strong class="number">{numberOf(each.times)}</strong>
                  <span class="changes">
                    <code>{each.code}</code> {text.refusalsOf(each.users)}, <Time at={each.last_at} />
                  </span>
                </li>
              ))}
            </ul>
          )
        }
      </Shown>
    </section>
  );
}

function Executors({ project, isNew }: Part) {
  const loaded = useLoaded(`overview executors ${project}`, async (signal) => (await call("GET /projects/{project_id}/executors", { project_id: project }, { signal })).executors);
  if (isNew && Object.keys(loaded.data.value ?? {}).length === 0) return null;
  return (
    <section class="card">
      <header>
        <h2>{text.executors}</h2>
      </header>
      <Shown loaded={loaded}>
        {(executors) => {
          const rows = Object.entries(executors).slice(0, LATEST);
          const most = Math.max(1, ...rows.map(([, many]) => many));
          if (rows.length === 0) return <p class="quiet">{text.executorsNone}</p>;
          return (
            <div class="stack">
              {rows.map(([name, many]) => (
                <div key={name} class="meter">
                  <div>
                    <span class="cut">{name}</span>
                    <span class="number quiet">{numberOf(many)}</span>
                  </div>
                  <progress value={many} max={most} aria-label={name} />
                </div>
              ))}
            </div>
          );
        }}
      </Shown>
    </section>
  );
}

function Latest({ project }: { project: string }) {
  const loaded = useLoaded(`overview events ${project}`, async (signal) => (await call("GET /projects/{project_id}/events", { project_id: project }, { query: { limit: LATEST }, signal })).events);
  useNews(project, (news) => news.event, () => void loaded.reload());
  return (
    <section class="card">
      <header>
        <h2>{text.events}</h2>
        <a href={to(`/projects/${project}/events`)}>{text.allEvents}</a>
      </header>
      <Shown loaded={loaded}>{(events) => (events.length === 0 ? <Empty title={text.eventsNone} /> : <EventList events={events} isShort />)}</Shown>
    </section>
  );
}
