/** Everything about one customer on one page, and everything that a supporter does for them. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ask, call } from "../../api/client";
import { askAhead, type Question, useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import type { EventView, UserView } from "../../api/types";
import { EventList } from "../../data/events";
import { current } from "../../data/projects";
import { BADGES, stateOf } from "../../data/keys";
import { scriptsOf } from "../../data/scripts";
import { CopyButton } from "../../parts/copy";
import { Squares } from "../../parts/squares";
import { Empty, Shown } from "../../parts/status";
import { ago, moment, now, numberOf, span, Time } from "../../parts/time";
import { Tabs, tabOf } from "../../parts/tabs";
import type { PageProps } from "../../shell/pages";
import { to } from "../../shell/router";
import { text as events } from "../../text/en/events";
import { text } from "../../text/en/keys";
import { ruleName } from "../../text/en/sharing";
import { text as shell } from "../../text/en/shell";
import { type Action, KeyActions } from "./actions";
import { KeySettings } from "./key_settings";
import { askForDevices, Devices, limitOf, usesOf } from "./devices";
import { KeyBuilds, keyPinsOf } from "./builds";
import { keyRefusalsOf, Refusals, Starts, useStarts } from "./history";

const words = text.page;
const TABS = ["history", "devices", "builds", "refusals", "events", "edit"] as const;

/** Whose a start was, and how a copy ended, is written down up to a second after it is told, and nothing tells of that. */
const WRITTEN_MS = 2500;

const NAMING_SCRIPTS: ReadonlySet<string> = new Set<(typeof TABS)[number]>(["history", "builds", "refusals"]);

export default function Key({ project, id }: PageProps) {
  const loaded = useLoaded(`key ${id}`, (signal) => ask("GET /users/{key}", { key: id }, { signal }));
  // What is done to it, and what its copies do, as far as either is told.
  const starts = useStarts(id);
  const later = useRef<ReturnType<typeof setTimeout>>(undefined);
  useNews(project, (news) => news, () => {
    void Promise.all([loaded.reload(), starts.reload()]);
    clearTimeout(later.current);
    later.current = setTimeout(() => void starts.reload(), WRITTEN_MS);
  });
  useEffect(() => () => clearTimeout(later.current), [id]);
  const action = useSignal<Action | null>(null);
  const tab = tabOf(TABS);
  useMemo(() => {
    if (tab === "devices") askForDevices(id);
    if (tab === "builds") askAhead(keyPinsOf(id));
    if (tab === "refusals") askAhead(keyRefusalsOf(id));
    if (tab === "events") askAhead(eventsOf(id));
    if (NAMING_SCRIPTS.has(tab)) askAhead(scriptsOf(project));
  }, [project, id, tab]);
  return (
    <div class="stack">
      <Shown loaded={loaded}>
        {({ reply: { user }, etag }) => (
          <>
            <div class="head">
              <div>
                <p class="small">
                  <a href={to(`/projects/${project}/keys`)}>{text.title}</a>
                </p>
                <div class="row tight">
                  <h1 class="mono">{user.key}</h1>
                  {may("keys:reveal") && <CopyButton value={user.key} isSmall />}
                </div>
              </div>
              {(may("keys:write") || may("sessions:stop")) && <Buttons user={user} onChoose={(chosen) => (action.value = chosen)} />}
            </div>
            <Sentence user={user} starts={starts} />
            <Facts user={user} />
            <section class="card stack">
              <Tabs label={words.title} names={TABS} shown={tab} words={words.tabs} />
              {tab === "history" && <Starts project={project} id={id} loaded={starts} />}
              {tab === "devices" && <Devices project={project} user={user} reload={loaded.reload} />}
              {tab === "builds" && <KeyBuilds user={user} />}
              {tab === "refusals" && <Refusals project={project} id={id} />}
              {tab === "events" && <Events id={id} version={etag} />}
              {tab === "edit" && <KeySettings user={user} etag={etag} reload={loaded.reload} />}
            </section>
            {action.value && <KeyActions action={action.value} user={user} onClose={() => (action.value = null)} onDone={() => void loaded.reload()} />}
          </>
        )}
      </Shown>
    </div>
  );
}

function Buttons({ user, onChoose }: { user: UserView; onChoose: (action: Action) => void }) {
  const offered: Action[] = [...(may("sessions:stop") && user.executions > 0 ? (["stop"] as const) : []), ...(may("keys:write") ? ([...(user.held_by !== null ? (["release"] as const) : []), "extend", "reset", user.blacklisted ? "unblacklist" : "blacklist", "remove"] as const) : [])];
  return (
    <div class="row">
      {offered
        .filter((action) => (action !== "extend" || user.key_expires !== null || user.key_days !== null) && (action !== "reset" || user.fingerprint_assigned))
        .map((action) => (
          <button key={action} type="button" class={action === "remove" || action === "blacklist" ? "danger" : ""} onClick={() => onChoose(action)}>
            {words.actions[action]}
          </button>
        ))}
    </div>
  );
}

/** The state in words. */
function Sentence({ user, starts }: { user: UserView; starts: ReturnType<typeof useStarts> }) {
  const state = stateOf(user, now.value);
  const running = starts.data.value?.executions.filter((start) => start.state === "running").length;
  const limit = limitOf(user);
  const isOneOfSeveral = limit > 1 && user.fingerprint_assigned;
  const bound = useLoaded(`key bound ${user.id} ${isOneOfSeveral}`, async (signal) => (isOneOfSeveral ? (await call("GET /users/{key}/devices", { key: user.id }, { signal })).bound.length : null), usesOf(user));
  const said = words.sentence;
  const parts: string[] = [];
  if (state === "blacklisted") {
    parts.push(said.blacklisted + (user.blacklist_expires === null ? "" : ` ${said.until(moment(user.blacklist_expires))}`));
    if (user.blacklist_reason) parts.push(said.forReason(user.blacklist_reason));
  } else {
    if (user.held_by !== null) parts.push(said.held(ruleName(user.held_by)), user.held_until === null ? said.untilReleased : said.until(moment(user.held_until)));
    if (user.executions === 0) parts.push(said.unused);
    else parts.push(user.fingerprintless ? said.anyDevice : user.fingerprint_assigned ? (bound.data.value ? said.boundTo(bound.data.value, limit) : said.bound) : said.unbound);
    if (running) parts.push(said.running(running));
    if (user.key_expires !== null) {
      const left = user.key_expires - now.value;
      parts.push(left > 0 ? said.expiresIn(span(left)) : said.expired(ago(user.key_expires)));
    } else parts.push(user.key_days === null ? said.forGood : said.days(user.key_days));
  }
  return (
    <section class="card keystate row">
      <span class={BADGES[state]}>{text.state[state]}</span>
      <span class="grow wrap">{parts.join(", ")}.</span>
      {user.last_refusal && <span class="small quiet">{said.lastRefused(user.last_refusal.code, ago(user.last_refusal.at))}</span>}
    </section>
  );
}

function Facts({ user }: { user: UserView }) {
  const facts = words.facts;
  const limit = (value: number | null) => (value === null ? shell.common.unlimited : numberOf(value));
  return (
    <section class="cards wide">
      <dl class="card facts">
        <dt>{text.columns.note}</dt>
        <dd>{user.note ?? <span class="quiet">{shell.common.none}</span>}</dd>
        <dt>{facts.discord}</dt>
        <dd>{user.discord_id ?? <span class="quiet">{shell.common.none}</span>}</dd>
        <dt>{facts.created}</dt>
        <dd>
          <Time at={user.created_at} />
        </dd>
        <dt>{facts.id}</dt>
        <dd>
          <code>{user.id}</code>
        </dd>
      </dl>
      <dl class="card facts">
        <dt>{facts.starts}</dt>
        <dd class="number">
          {numberOf(user.executions)} / {limit(user.max_executions)}
        </dd>
        <dt>{facts.instances}</dt>
        <dd class="number">{limit(user.max_instances ?? current.value?.max_instances ?? null)}</dd>
        <dt>{facts.devices}</dt>
        <dd class="number">{user.fingerprintless ? shell.common.unlimited : limitOf(user)}</dd>
        <dt>{facts.executor}</dt>
        <dd>{user.executor ?? <span class="quiet">{shell.common.none}</span>}</dd>
        <dt>{facts.resets}</dt>
        <dd>
          {numberOf(user.total_fingerprint_resets)}
          {user.last_reset !== null && (
            <span class="quiet">
              {" "}
              ({facts.lastReset} <Time at={user.last_reset} />)
            </span>
          )}
        </dd>
        {user.luaauth_fingerprint && (
          <>
            <dt>{facts.device}</dt>
            <dd>
              <Squares of={user.luaauth_fingerprint} />
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}

function eventsOf(id: string): Question<EventView[]> {
  return [`key events ${id}`, async (signal) => (await call("GET /users/{key}/events", { key: id }, { query: { limit: 100 }, signal })).events];
}

function Events({ id, version }: { id: string; version: string | null }) {
  const loaded = useLoaded(...eventsOf(id), version);
  return <Shown loaded={loaded}>{(all) => (all.length === 0 ? <Empty title={events.none} /> : <EventList events={all} />)}</Shown>;
}
