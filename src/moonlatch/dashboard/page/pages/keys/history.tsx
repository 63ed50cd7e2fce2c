/** What a customer's copies did: starts and how they ended, and what was refused. */
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { Squares } from "../../parts/squares";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { numberOf, Time } from "../../parts/time";
import { ScriptName } from "../../data/scripts";
import { text } from "../../text/en/keys";

const words = text.page;
const SHOWN = 100;
const BADGES: Record<string, string> = { running: "badge good", stopped: "badge bad", gone: "badge" };

export function Starts({ project, id }: { project: string; id: string }) {
  const loaded = useLoaded(`key starts ${id}`, async (signal) => (await call("GET /users/{key}/executions", { key: id }, { query: { limit: SHOWN }, signal })).executions);
  return (
    <Shown loaded={loaded}>
      {(starts) =>
        starts.length === 0 ? (
          <Empty title={words.starts.none} />
        ) : (
          <Table
            caption={words.tabs.history}
            rows={starts}
            keyOf={(start) => start.id}
            columns={[
              { label: words.starts.when, isLead: true, show: (start) => <Time at={start.started_at} /> },
              { label: words.starts.state, show: (start) => <span class={BADGES[start.state]}>{start.code ?? words.states[start.state]}</span> },
              { label: words.starts.script, show: (start) => <ScriptName project={project} id={start.script_id} /> },
              { label: words.starts.build, isEnd: true, show: (start) => <span class="number">{start.build}</span> },
              { label: words.starts.program, show: (start) => start.executor && <span class="clip">{start.executor}</span> },
              { label: words.starts.where, show: (start) => start.luaauth_fingerprint && <Squares of={start.luaauth_fingerprint} /> },
              { label: words.starts.ended, show: (start) => start.ended_at !== null && <Time at={start.ended_at} /> },
            ]}
          />
        )
      }
    </Shown>
  );
}

export function Refusals({ project, id }: { project: string; id: string }) {
  const loaded = useLoaded(`key refusals ${id}`, async (signal) => (await call("GET /users/{key}/refusals", { key: id }, { signal })).refusals);
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
              { label: words.refusals.script, show: (refusal) => <ScriptName project={project} id={refusal.script_id} /> },
              { label: words.refusals.program, show: (refusal) => refusal.executor && <span class="clip">{refusal.executor}</span> },
            ]}
          />
        )
      }
    </Shown>
  );
}
