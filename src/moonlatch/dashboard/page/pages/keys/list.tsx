/** The keys of a project: found, chosen, made, changed by the thousand. */
import { useComputed, useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { UserPage, UserView } from "../../api/types";
import { BADGES, stateOf } from "../../data/keys";
import { choosing } from "../../parts/chosen";
import { Icon } from "../../parts/icons";
import { Foot } from "../../parts/pages";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { now, numberOf, Time } from "../../parts/time";
import type { PageProps } from "../../shell/pages";
import { go, place, refine, to } from "../../shell/router";
import { text } from "../../text/en/keys";
import { Bulk, type Chosen } from "./bulk";
import { exportKeys } from "./exporting";
import { conditions, type Filters, filters, queryOf, SIZE } from "./filters";
import { ImportKeys } from "./importing";
import { NewKeys } from "./new_keys";

const PAUSE_MS = 200;
const WHOLE_KEY = /^[A-Za-z0-9_-]{20,64}$/;

export default function Keys({ project }: PageProps) {
  const given = filters();
  const query = queryOf(given);
  const loaded = useLoaded(`keys ${project} ${JSON.stringify(query)}`, (signal) => call("GET /projects/{project_id}/users", { project_id: project }, { query, signal }));
  // Counting takes longer than listing, so nobody waits for it.
  const counted = useLoaded(`keys counted ${project} ${JSON.stringify(conditions(given))}`, (signal) => call("GET /projects/{project_id}/users", { project_id: project }, { query: { ...conditions(given), limit: 1, count: true }, signal }));
  const reload = () => void Promise.all([loaded.reload(), counted.reload()]);
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const bulk = useSignal<Chosen | null>(null);
  const opened = place.value.query.get("new");
  const isExporting = useSignal(false);
  const isFiltered = Boolean(given.words || given.state);
  useEffect(() => {
    chosen.value = new Set();
  }, [project, JSON.stringify(conditions(given))]);
  return (
    <div class="stack">
      <div class="head">
        <div>
          <h1>{text.title}</h1>
          <p>{text.more}</p>
        </div>
        <div class="row">
          <a class="button" href={to(`/projects/${project}/removed`)}>
            {text.removed.title}
          </a>
          <a class="button" href={to(`/projects/${project}/bars`)}>
            {text.bars.open}
          </a>
          <button
            type="button"
            disabled={isExporting.value}
            onClick={async () => {
              isExporting.value = true;
              await exportKeys(project, conditions(given));
              isExporting.value = false;
            }}
          >
            {isExporting.value ? <span class="spin" /> : <Icon name="download" />}
            {text.export}
          </button>
          {may("keys:write") && (
            <>
              <button type="button" onClick={() => refine({ new: "csv" })}>
                <Icon name="upload" />
                {text.import}
              </button>
              <button type="button" class="primary" onClick={() => refine({ new: "key" })}>
                <Icon name="plus" />
                {text.create}
              </button>
            </>
          )}
        </div>
      </div>
      <Search project={project} given={given} />
      <section class="card flush" aria-busy={loaded.isLoading.value}>
        <Shown loaded={loaded}>
          {(page) =>
            page.users.length === 0 && given.from === 0 ? (
              <Empty title={isFiltered ? text.none : text.noneYet}>
                <p>{isFiltered ? text.noneMore : text.noneYetMore}</p>
                {!isFiltered && may("keys:write") && (
                  <button type="button" class="primary" onClick={() => refine({ new: "key" })}>
                    {text.create}
                  </button>
                )}
              </Empty>
            ) : (
              <>
                <Rows project={project} users={page.users} chosen={chosen} />
                <Foot from={given.from} many={page.users.length} size={SIZE} total={totalOf(counted.data.value)} isLast={isLast(given, page, counted.data.value)} />
              </>
            )
          }
        </Shown>
      </section>
      {chosen.value.size > 0 && (
        <Selection
          chosen={chosen}
          shown={loaded.data.value?.users.length ?? 0}
          counted={counted.data.value}
          onBulk={(isAll) => (bulk.value = isAll ? { filter: Object.keys(conditions(given)).length > 0 ? conditions(given) : { all: true } } : { users: [...chosen.value] })}
        />
      )}
      {bulk.value && (
        <Bulk
          project={project}
          chosen={bulk.value}
          onClose={() => (bulk.value = null)}
          onDone={() => {
            chosen.value = new Set();
            reload();
          }}
        />
      )}
      {opened === "key" && <NewKeys project={project} onClose={() => refine({ new: undefined })} onMade={reload} />}
      {opened === "csv" && <ImportKeys project={project} onClose={() => refine({ new: undefined })} onMade={reload} />}
    </div>
  );
}

function Search({ project, given }: { project: string; given: Filters }) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    // Somebody came here by a link; while they write, the field is theirs.
    if (box.current && document.activeElement !== box.current) box.current.value = given.words;
  }, [given.words]);
  async function submitted(event: Event) {
    event.preventDefault();
    const words = box.current?.value.trim() ?? "";
    if (!WHOLE_KEY.test(words)) return;
    try {
      const { user } = await call("GET /users/{key}", { key: words });
      go(to(`/projects/${user.project_id}/keys/${user.id}`));
    } catch {
      // It is no whole key; the list says what it is a part of.
    }
  }
  return (
    <form class="row" role="search" onSubmit={submitted}>
      <input
        ref={box}
        class="grow"
        type="search"
        aria-label={text.search}
        placeholder={text.search}
        maxLength={128}
        defaultValue={given.words}
        onInput={(event) => {
          const words = event.currentTarget.value;
          clearTimeout(timer.current);
          timer.current = setTimeout(() => refine({ q: words, from: undefined }), PAUSE_MS);
        }}
      />
      <select class="fit" aria-label={text.searchIn} value={conditionName(given)} onChange={(event) => refine({ in: event.currentTarget.value, from: undefined })}>
        {text.places.map(([name, words]) => (
          <option key={name} value={name}>
            {words}
          </option>
        ))}
      </select>
      <select class="fit" aria-label={text.order} value={given.order} onChange={(event) => refine({ order: event.currentTarget.value, from: undefined })}>
        {text.orders.map(([name, words]) => (
          <option key={name} value={name}>
            {words}
          </option>
        ))}
      </select>
      <div class="segments" role="group" aria-label={text.columns.state} key={project}>
        {text.states.map(([state, words]) => (
          <button key={state} type="button" aria-pressed={given.state === state} onClick={() => refine({ state, from: undefined })}>
            {words}
          </button>
        ))}
      </div>
    </form>
  );
}

function conditionName(given: Filters): string {
  const used = Object.keys(conditions({ ...given, state: "" }))[0];
  return used ?? (given.where || "key_starts");
}

function Rows({ project, users, chosen }: { project: string; users: UserView[]; chosen: Signal<ReadonlySet<string>> }) {
  const areAll = useComputed(() => users.length > 0 && users.every((user) => chosen.value.has(user.id)));
  const choose = choosing(chosen);
  const mayChoose = may("keys:write");
  return (
    <Table
      caption={text.title}
      rows={users}
      keyOf={(user) => user.id}
      columns={[
        ...(mayChoose
          ? [
              {
                label: "",
                head: <input type="checkbox" aria-label={text.selectAll} checked={areAll.value} onChange={(event: Event & { currentTarget: HTMLInputElement }) => choose(users.map((user) => user.id), event.currentTarget.checked)} />,
                show: (user: UserView) => <input type="checkbox" aria-label={text.select(user.key)} checked={chosen.value.has(user.id)} onChange={(event) => choose([user.id], event.currentTarget.checked)} />,
              },
            ]
          : []),
        {
          label: text.columns.key,
          isLead: true,
          show: (user) => (
            <a class="mono clip short" title={user.key} href={to(`/projects/${project}/keys/${user.id}`)}>
              {user.key}
            </a>
          ),
        },
        {
          label: text.columns.state,
          show: (user) => {
            const state = stateOf(user, now.value);
            return <span class={BADGES[state]}>{text.state[state]}</span>;
          },
        },
        { label: text.columns.note, show: (user) => user.note && <span class="clip">{user.note}</span> },
        { label: text.columns.discord, show: (user) => user.discord_id && <span class="number">{user.discord_id}</span> },
        { label: text.columns.expires, show: (user) => <Expiry user={user} /> },
        { label: text.columns.executions, isEnd: true, show: (user) => <span class="number">{numberOf(user.executions)}</span> },
        { label: text.columns.refused, show: (user) => user.last_refusal && <span class="badge bad" title={user.last_refusal.code}>{user.last_refusal.code}</span> },
      ]}
    />
  );
}

export function Expiry({ user }: { user: UserView }) {
  if (user.key_expires !== null) return <Time at={user.key_expires} />;
  return <span class="quiet whole">{user.key_days === null ? text.forGood : text.daysFromStart(user.key_days)}</span>;
}

function totalOf(page: UserPage | undefined): string {
  return page?.total == null ? "" : `${numberOf(page.total)}${page.total_is_exact ? "" : "+"}`;
}

function isLast(given: Filters, page: UserPage, counted: UserPage | undefined): boolean {
  return page.users.length < SIZE || (counted?.total_is_exact === true && given.from + page.users.length >= (counted.total ?? 0));
}

interface SelectionProps {
  chosen: Signal<ReadonlySet<string>>;
  /** How many are on the page. */
  shown: number;
  counted: UserPage | undefined;
  onBulk: (isAll: boolean) => void;
}

function Selection({ chosen, shown, counted, onBulk }: SelectionProps) {
  return (
    <div class="selection" role="region" aria-label={text.bulk.title}>
      <strong class="grow">{text.selected(chosen.value.size)}</strong>
      <button type="button" class="primary" onClick={() => onBulk(false)}>
        {text.bulk.title}
      </button>
      {(counted?.total ?? 0) > shown && (
        <button type="button" onClick={() => onBulk(true)}>
          {text.allMatching(totalOf(counted))}
        </button>
      )}
      <button type="button" class="plain" onClick={() => (chosen.value = new Set())}>
        {text.clear}
      </button>
    </div>
  );
}
