/** What a customer's copies did: starts and how they ended, and what was refused. */
import { useSignal } from "@preact/signals";
import { call, type ReplyOf } from "../../api/client";
import { type Loaded, type Question, useLoaded } from "../../api/load";
import { Squares } from "../../parts/squares";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { numberOf, Time } from "../../parts/time";
import { ScriptName, useScripts } from "../../data/scripts";
import { tellFailure } from "../../parts/toast";
import { text } from "../../text/en/keys";
import { text as shell } from "../../text/en/shell";

const words = text.page;
const SHOWN = 50;
const BADGES: Record<string, string> = { running: "badge good", stopped: "badge bad", gone: "badge" };

type StartsPage = ReplyOf<"GET /users/{key}/executions">;

/** A key's latest starts. */
export function useStarts(id: string): Loaded<StartsPage> {
  return useLoaded(`key starts ${id}`, (signal) => call("GET /users/{key}/executions", { key: id }, { query: { limit: SHOWN }, signal }));
}

export function Starts({ project, id, loaded }: { project: string; id: string; loaded: Loaded<StartsPage> }) {
  return <Shown loaded={loaded}>{(first) => <Pages key={id} project={project} id={id} first={first} />}</Shown>;
}

function Pages({ project, id, first }: { project: string; id: string; first: StartsPage }) {
  const scripts = useScripts(project).data.value;
  const added = useSignal<StartsPage["executions"]>([]);
  /** Of what was added; undefined before anything was. */
  const last = useSignal<string | null | undefined>(undefined);
  if (first.executions.length === 0) return <Empty title={words.starts.none} />;
  async function showMore(cursor: string) {
    try {
      const page = await call("GET /users/{key}/executions", { key: id }, { query: { limit: SHOWN, cursor } });
      added.value = [...added.value, ...page.executions];
      last.value = page.next;
    } catch (failure) {
      tellFailure(failure);
    }
  }
  const cursor = last.value === undefined ? first.next : last.value;
  // While somebody reads further back, new ones push those of the first page on.
  const known = new Set(first.executions.map((start) => start.id));
  const starts = [...first.executions, ...added.value.filter((start) => !known.has(start.id))];
  return (
    <>
      <Table
        caption={words.tabs.history}
        rows={starts}
        keyOf={(start) => start.id}
        columns={[
          { label: words.starts.when, isLead: true, show: (start) => <Time at={start.started_at} /> },
          { label: words.starts.state, show: (start) => <span class={BADGES[start.state]}>{start.code ?? words.states[start.state]}</span> },
          { label: words.starts.script, show: (start) => <ScriptName scripts={scripts} project={project} id={start.script_id} /> },
          { label: words.starts.build, isEnd: true, show: (start) => <span class="number">{start.build}</span> },
          { label: words.starts.program, show: (start) => start.executor && <span class="clip">{start.executor}</span> },
          { label: words.starts.where, show: (start) => start.luaauth_fingerprint && <Squares of={start.luaauth_fingerprint} /> },
          { label: words.starts.ended, show: (start) => start.ended_at !== null && <Time at={start.ended_at} /> },
        ]}
      />
      {cursor && (
        <div>
          <button type="button" onClick={() => void showMore(cursor)}>
            {shell.common.more}
          </button>
        </div>
      )}
    </>
  );
}

export function keyRefusalsOf(id: string): Question<ReplyOf<"GET /users/{key}/refusals">["refusals"]> {
  return [`key refusals ${id}`, async (signal) => (await call("GET /users/{key}/refusals", { key: id }, { signal })).refusals];
}

export function Refusals({ project, id }: { project: string; id: string }) {
  const scripts = useScripts(project).data.value;
  const loaded = useLoaded(...keyRefusalsOf(id));
  return (
    <Shown loaded={loaded}>
      {(refusals) =>
        refusals.length === 0 ? (
          <Empty title={words.refusals.none} />
        ) : (
          <Table
            caption={words.tabs.refusals}
            rows={refusals}
            keyOf={(refusal) => `${refusal.first_at} ${refusal.code} ${refusal.script_id} ${refusal.luaauth_fingerprint}`}
            columns={[
              { label: words.refusals.code, isLead: true, show: (refusal) => <span class="badge bad">{refusal.code}</span> },
              { label: words.starts.when, show: (refusal) => <Time at={refusal.at} /> },
              { label: words.refusals.moment, show: (refusal) => words.refusals.moments[refusal.moment] },
              { label: words.refusals.times, isEnd: true, show: (refusal) => <span class="number">{numberOf(refusal.times)}</span> },
              { label: words.refusals.script, show: (refusal) => <ScriptName scripts={scripts} project={project} id={refusal.script_id} /> },
              { label: words.refusals.program, show: (refusal) => refusal.executor && <span class="clip">{refusal.executor}</span> },
            ]}
          />
        )
      }
    </Shown>
  );
}
