/** One script: what its customers run, its builds, how it is set. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { type Answer, ask, call } from "../../api/client";
import { ApiError } from "../../api/errors";
import { askAhead, type Question, useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import type { ScriptView } from "../../api/types";
import { addressOf, isOfThisMachine, loaderOf, SERVER, useServer } from "../../data/server";
import { Bars, daysOf } from "../../parts/bars";
import { Confirm } from "../../parts/confirm";
import { Copyable } from "../../parts/copy";
import { Shown } from "../../parts/status";
import { numberOf } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { Tabs, tabOf } from "../../parts/tabs";
import { later } from "../../shell/later";
import type { PageProps } from "../../shell/pages";
import { to } from "../../shell/router";
import { text } from "../../text/en/scripts";
import { askForBuilds, Builds } from "./builds";
import { Publish } from "./publish";
import { ScriptLeaks } from "./script_leaks";
import { ScriptSettings } from "./script_settings";

const words = text.page;
/** The API's code for a script that has no build to be started. */
const UPDATE_REQUIRED = 1;
type Tab = "publish" | "builds" | "errors" | "leaks" | "settings";

function tabs(): [Tab, ...Tab[]] {
  const all: [Tab, ...Tab[]] = ["builds", "errors", ...(may("keys:reveal") ? (["leaks"] as const) : []), "settings"];
  return may("scripts:publish") ? ["publish", ...all] : all;
}

function scriptOf(id: string): Question<Answer<"GET /scripts/{script_id}">> {
  return [`script ${id}`, (signal) => ask("GET /scripts/{script_id}", { script_id: id }, { signal })];
}

function executionsOf(id: string): Question<Record<string, number>> {
  return [`script executions ${id}`, async (signal) => (await call("GET /scripts/{script_id}/executions", { script_id: id }, { signal })).executions];
}

export default function Script({ project, id }: PageProps) {
  const names = tabs();
  const tab = tabOf(names);
  useMemo(() => {
    askAhead(scriptOf(id));
    if (tab === "builds") askForBuilds(id);
    askAhead(executionsOf(id), SERVER);
  }, [id, tab]);
  const loaded = useLoaded(...scriptOf(id));
  useNews(project, (news) => [news.event, news.scripts.find((each) => each.id === id)], () => void loaded.reload());
  return (
    <div class="stack">
      <Shown loaded={loaded}>
        {({ reply: { script }, etag }) => (
          <>
            <div class="head">
              <div>
                <p class="small">
                  <a href={to(`/projects/${project}/scripts`)}>{text.title}</a>
                </p>
                <div class="row">
                  <h1>{script.name}</h1>
                  <span class={script.enabled ? "badge good" : "badge"}>{script.enabled ? text.on : text.off}</span>
                </div>
              </div>
              <div class="row">
                {may("sessions:read") && (
                  <a class="button" href={to(`/projects/${project}/live`, { script: id })}>
                    {words.live}
                  </a>
                )}
                {may("scripts:write") && <Switch script={script} reload={loaded.reload} />}
              </div>
            </div>
            <Loader script={script} />
            <dl class="cards">
              <Figure label={words.running} value={script.total_instances} isNow={script.total_instances > 0} />
              <Figure label={words.sessions} value={script.total_sessions} isNow={script.total_sessions > 0} />
              <Figure label={words.starts} value={script.total_executions} />
            </dl>
            <section class="card stack">
              <Tabs label={text.title} names={names} shown={tab} words={words.tabs} />
              {tab === "publish" && <Publish script={id} next={script.total_executions === 0 ? to(`/projects/${project}/overview`) : null} onPublished={() => void loaded.reload()} />}
              {tab === "builds" && <Builds script={script} etag={etag} reload={loaded.reload} />}
              {tab === "errors" && <Errors script={script} />}
              {tab === "leaks" && <ScriptLeaks script={script} />}
              {tab === "settings" && <ScriptSettings script={script} etag={etag} reload={loaded.reload} />}
            </section>
            <Executions id={id} />
          </>
        )}
      </Shown>
    </div>
  );
}

/** Fetched when somebody wants to see them: the page has its budget. */
function Errors({ script }: { script: ScriptView }) {
  const there = useSignal<typeof import("./script_errors") | null>(null);
  useEffect(() => void later(() => import("./script_errors")).then((loaded) => (there.value = loaded)), []);
  const loaded = there.value;
  return loaded === null ? <p class="loading" aria-busy="true" /> : <loaded.ScriptErrors script={script} />;
}

function Figure({ label, value, isNow = false }: { label: string; value: number; isNow?: boolean }) {
  return (
    <div class="card figure">
      <dt>{label}</dt>
      <dd class={isNow ? "value now" : "value"}>{numberOf(value)}</dd>
    </div>
  );
}

function Loader({ script }: { script: ScriptView }) {
  const server = useServer();
  const address = addressOf(server.data.value);
  return (
    <section class="card">
      <header>
        <h2>{words.loader}</h2>
        <span class="small quiet">{script.free_for_all ? words.loaderFree : words.loaderMore}</span>
      </header>
      <Copyable value={loaderOf(script.id, address, script.free_for_all ? null : "KEY")} label={words.loader} />
      {script.enabled && script.total_executions === 0 && <TryIt script={script} address={address} />}
      {isOfThisMachine(address) && <p class="small quiet note">{words.loaderHere(address.host)}</p>}
    </section>
  );
}

/** The line that runs it without a game, with one of the project's keys where there is one that may be shown. */
function TryIt({ script, address }: { script: ScriptView; address: URL }) {
  const isAsked = !script.free_for_all && may("keys:reveal");
  const key = useLoaded(`key to try ${script.project_id} ${isAsked}`, async (signal) => {
    if (!isAsked) return undefined;
    const { users } = await call("GET /projects/{project_id}/users", { project_id: script.project_id }, { query: { state: "active", limit: 1 }, signal });
    return users[0]?.key;
  });
  const line = `moonlatch try ${new URL(`loader/${script.id}`, address)}${script.free_for_all ? "" : ` --key ${key.data.value ?? "KEY"}`}`;
  return (
    <div class="note stack tight">
      <p class="small quiet">{words.tryIt}</p>
      <Copyable value={line} label={words.tryIt} />
    </div>
  );
}

function Switch({ script, reload }: { script: ScriptView; reload: () => Promise<void> }) {
  const isAsking = useSignal(false);
  async function toggle(state: boolean) {
    await call("POST /scripts/{script_id}/toggle", { script_id: script.id }, { body: { state } });
    tell(state ? words.switchedOn : words.switchedOff);
    await reload();
  }
  if (!script.enabled) {
    return (
      <button
        type="button"
        onClick={() =>
          void toggle(true).catch((failure: unknown) => {
            if (failure instanceof ApiError && failure.status === 409 && failure.detail.code === UPDATE_REQUIRED) tell(words.publishFirst, true);
            else tellFailure(failure);
          })
        }
      >
        {words.switchOn}
      </button>
    );
  }
  return (
    <>
      <button type="button" class="danger" onClick={() => (isAsking.value = true)}>
        {words.switchOff}
      </button>
      {isAsking.value && (
        <Confirm
          title={words.offTitle}
          submit={words.switchOff}
          onClose={() => (isAsking.value = false)}
          run={async () => {
            await toggle(false);
            isAsking.value = false;
          }}
        >
          <p>{words.offMore}</p>
        </Confirm>
      )}
    </>
  );
}

function Executions({ id }: { id: string }) {
  const loaded = useLoaded(...executionsOf(id));
  return (
    <section class="card">
      <header>
        <h2>{words.executions}</h2>
      </header>
      <Shown loaded={loaded}>{(days) => <Bars title={words.executions} days={daysOf(days)} />}</Shown>
    </section>
  );
}
