/** Who is connected now: watched, messaged, stopped. */
import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import type { SessionView } from "../../api/types";
import { useScripts } from "../../data/scripts";
import { choosing } from "../../parts/chosen";
import { TextField } from "../../parts/form";
import { Empty, Failure, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { numberOf, Time } from "../../parts/time";
import type { PageProps } from "../../shell/pages";
import { place, refine, to } from "../../shell/router";
import { text } from "../../text/en/live";
import { Copies } from "./copies";
import { Disconnect } from "./disconnect";
import { KeyLink } from "./key_link";
import { Message } from "./message";
import { everyMatching, type Filter, useSessions } from "./sessions";

const FILTERS = ["key", "roblox_id", "place_id", "job_id"] as const;
const LABELS: Record<(typeof FILTERS)[number], string> = { key: text.key, roblox_id: text.roblox, place_id: text.place, job_id: text.job };

function filterOf(query: URLSearchParams): Filter {
  const [key, roblox_id, place_id, job_id] = FILTERS.map((name) => query.get(name) ?? "") as [string, string, string, string];
  return { key, roblox_id, place_id, job_id };
}

export default function Live({ project }: PageProps) {
  const scripts = useScripts(project);
  useNews(project, (news) => news.scripts.map(({ id, sessions }) => [id, sessions]), () => void scripts.reload());
  const { query } = place.value;
  /** Stays, whichever has most copies by and by. */
  const first = useRef<string | undefined>(undefined);
  return (
    <div class="stack">
      <div class="head">
        <div>
          <h1>{text.title}</h1>
          <p>{text.more}</p>
        </div>
      </div>
      <Shown loaded={scripts}>
        {(all) => {
          const named = (id: string | null | undefined) => all.find((each) => each.id === id);
          const script = named(query.get("script")) ?? named(first.current) ?? [...all].sort((one, other) => other.total_sessions - one.total_sessions)[0];
          first.current = script?.id;
          if (!script) {
            return (
              <section class="card">
                <Empty title={text.noScripts}>
                  <a class="button primary" href={to(`/projects/${project}/scripts`, { new: "script" })}>
                    {text.addScript}
                  </a>
                </Empty>
              </section>
            );
          }
          const filter = filterOf(query);
          const view = query.get("show") === "copies" ? "copies" : "";
          return (
            <>
              <section class="card fields filters" aria-label={text.title}>
                <div class="field">
                  <label for="live-script">{text.script}</label>
                  <select id="live-script" value={script.id} onChange={(event) => refine({ script: event.currentTarget.value, from: undefined })}>
                    {all.map((each) => (
                      <option key={each.id} value={each.id}>
                        {`${each.name} (${numberOf(each.total_sessions)})`}
                      </option>
                    ))}
                  </select>
                </div>
                {view === "" && FILTERS.map((name) => (
                  <TextField key={name} name={name} label={LABELS[name]} defaultValue={filter[name]} maxLength={128} onChange={(event) => refine({ script: script.id, [name]: event.currentTarget.value.trim() })} />
                ))}
              </section>
              <div class="segments" role="group" aria-label={text.view}>
                {text.views.map(([name, words]) => (
                  <button key={name} type="button" aria-pressed={view === name} onClick={() => refine({ script: script.id, show: name, from: undefined })}>
                    {words}
                  </button>
                ))}
              </div>
              {view === "copies" ? <Copies key={script.id} project={project} script={script.id} /> : <Sessions key={`${script.id} ${JSON.stringify(filter)}`} project={project} script={script.id} filter={filter} />}
            </>
          );
        }}
      </Shown>
    </div>
  );
}

function Sessions({ project, script, filter }: { project: string; script: string; filter: Filter }) {
  const live = useSessions(project, script, filter);
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const action = useSignal<{ name: "message" | "disconnect"; ids: string[] } | null>(null);
  const isFiltered = Object.values(filter).some(Boolean);
  const rows = live.shown.value;
  // What is gone is not chosen any more.
  useEffect(() => {
    const there = new Set(rows?.map((session) => session.id));
    if ([...chosen.value].some((id) => !there.has(id))) chosen.value = new Set([...chosen.value].filter((id) => there.has(id)));
  }, [rows]);
  if (live.error.value !== undefined && rows === undefined) return <Failure failure={live.error.value} />;
  const begin = (name: "message" | "disconnect", ids: string[]) => (action.value = { name, ids });
  return (
    <>
      <section class="card flush" onPointerEnter={() => live.hold(true)} onPointerLeave={() => live.hold(false)}>
        {rows === undefined ? null : rows.length === 0 ? (
          <Empty title={isFiltered ? text.noneLike : text.none}>{!isFiltered && <p>{text.noneMore}</p>}</Empty>
        ) : (
          <>
            <Rows project={project} rows={rows} gone={live.gone.value} chosen={chosen} />
            <div class="foot">
              <span role="status">{text.shown(numberOf(rows.length))}</span>
              {live.waiting.value > 0 && <span>{text.waiting(live.waiting.value)}</span>}
            </div>
          </>
        )}
      </section>
      {chosen.value.size > 0 && (
        <div class="selection" role="region" aria-label={text.selected(chosen.value.size)}>
          <strong class="grow">{text.selected(chosen.value.size)}</strong>
          {may("sessions:message") && (
            <button type="button" class="primary" onClick={() => begin("message", [...chosen.value])}>
              {text.message}
            </button>
          )}
          {may("sessions:stop") && (
            <button type="button" class="danger" onClick={() => begin("disconnect", [...chosen.value])}>
              {text.disconnect}
            </button>
          )}
          {live.isPartial.value && (
            <button type="button" onClick={async () => (chosen.value = new Set((await everyMatching(script, filter)).map((session) => session.id)))}>
              {text.allMatching}
            </button>
          )}
          <button type="button" class="plain" onClick={() => (chosen.value = new Set())}>
            {text.clear}
          </button>
        </div>
      )}
      {action.value?.name === "message" && <Message ids={action.value.ids} sessions={rows ?? []} onClose={() => (action.value = null)} />}
      {action.value?.name === "disconnect" && (
        <Disconnect
          ids={action.value.ids}
          onClose={() => (action.value = null)}
          onDone={() => {
            chosen.value = new Set();
            void live.reload();
          }}
        />
      )}
    </>
  );
}

interface RowsProps {
  project: string;
  rows: readonly SessionView[];
  gone: ReadonlySet<string>;
  chosen: Signal<ReadonlySet<string>>;
}

function Rows({ project, rows, gone, chosen }: RowsProps) {
  const choose = choosing(chosen);
  return (
    <Table
      caption={text.title}
      rows={rows}
      keyOf={(session) => session.id}
      nameOf={(session) => (gone.has(session.id) ? "gone" : undefined)}
      columns={[
        {
          label: "",
          head: (
            <input
              type="checkbox"
              aria-label={text.selectAll}
              checked={rows.every((session) => chosen.value.has(session.id))}
              onChange={(event) => choose(rows.map((session) => session.id), event.currentTarget.checked)}
            />
          ),
          show: (session) => <input type="checkbox" aria-label={text.select(session.user_key ?? session.id)} checked={chosen.value.has(session.id)} onChange={(event) => choose([session.id], event.currentTarget.checked)} />,
        },
        {
          label: text.columns.key,
          isLead: true,
          show: (session) => <KeyLink project={project} userKey={session.user_key} />,
        },
        { label: text.columns.executor, show: (session) => session.executor && <span class="clip">{session.executor}</span> },
        { label: text.columns.build, isEnd: true, show: (session) => <span class="number">{session.build}</span> },
        { label: text.columns.roblox, show: (session) => session.roblox_id !== null && <span class="number">{session.roblox_id}</span> },
        { label: text.columns.place, show: (session) => session.place_id !== null && <span class="number">{session.place_id}</span> },
        { label: text.columns.job, show: (session) => session.job_id && <span class="clip">{session.job_id}</span> },
        { label: text.columns.since, show: (session) => <Time at={session.created_at} /> },
      ]}
    />
  );
}
