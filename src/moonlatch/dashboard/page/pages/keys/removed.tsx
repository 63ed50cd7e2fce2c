/** Keys that were removed and can be brought back. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import type { UserView } from "../../api/types";
import { BADGES, stateOf } from "../../data/keys";
import { choosing } from "../../parts/chosen";
import { Dialog } from "../../parts/dialog";
import { Form, TextField } from "../../parts/form";
import { Foot } from "../../parts/pages";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { now, Time } from "../../parts/time";
import { tell } from "../../parts/toast";
import type { PageProps } from "../../shell/pages";
import { place, to } from "../../shell/router";
import { text } from "../../text/en/keys";

const words = text.removed;
const SIZE = 50;

export default function Removed({ project }: PageProps) {
  const from = Math.max(0, Number(place.value.query.get("from")) || 0);
  const loaded = useLoaded(`removed keys ${project} ${from}`, async (signal) => (await call("GET /projects/{project_id}/users/removed", { project_id: project }, { query: { from, limit: SIZE }, signal })).users);
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const restoring = useSignal<UserView[] | null>(null);
  useNews(project, (news) => news.event, () => void loaded.reload());
  useEffect(() => {
    chosen.value = new Set();
  }, [project, from]);
  const mayRestore = may("keys:write") && may("keys:reveal");
  const choose = choosing(chosen);
  return (
    <div class="stack">
      <div class="head">
        <div>
          <p class="small">
            <a href={to(`/projects/${project}/keys`)}>{text.title}</a>
          </p>
          <h1>{words.title}</h1>
          <p>{words.more}</p>
        </div>
      </div>
      <section class="card flush" aria-busy={loaded.isLoading.value}>
        <Shown loaded={loaded}>
          {(removed) =>
            removed.length === 0 && from === 0 ? (
              <Empty title={words.none} />
            ) : (
              <>
                <Table
                  caption={words.title}
                  rows={removed}
                  keyOf={({ user }) => user.id}
                  columns={[
                    ...(mayRestore
                      ? [
                          {
                            label: "",
                            head: <input type="checkbox" aria-label={text.selectAll} checked={removed.length > 0 && removed.every(({ user }) => chosen.value.has(user.id))} onChange={(event: Event & { currentTarget: HTMLInputElement }) => choose(removed.map(({ user }) => user.id), event.currentTarget.checked)} />,
                            show: ({ user }: { user: UserView }) => <input type="checkbox" aria-label={text.select(user.key)} checked={chosen.value.has(user.id)} onChange={(event) => choose([user.id], event.currentTarget.checked)} />,
                          },
                        ]
                      : []),
                    { label: text.columns.key, isLead: true, show: ({ user }) => <span class="mono clip short">{user.key}</span> },
                    { label: text.columns.state, show: ({ user }) => <span class={BADGES[stateOf(user, now.value)]}>{text.state[stateOf(user, now.value)]}</span> },
                    { label: text.columns.note, show: ({ user }) => user.note && <span class="clip">{user.note}</span> },
                    { label: text.columns.discord, show: ({ user }) => user.discord_id && <span class="number">{user.discord_id}</span> },
                    { label: words.columns.removed, show: (each) => <Time at={each.removed_at} /> },
                    { label: words.columns.by, show: (each) => <span class="whole">{words.by[each.removed_by]}</span> },
                    { label: words.columns.until, show: (each) => <Time at={each.restorable_until} /> },
                  ]}
                />
                <Foot from={from} many={removed.length} size={SIZE} isLast={removed.length < SIZE} />
              </>
            )
          }
        </Shown>
      </section>
      {chosen.value.size > 0 && (
        <div class="selection" role="region" aria-label={words.restore}>
          <strong class="grow">{text.selected(chosen.value.size)}</strong>
          <button type="button" class="primary" onClick={() => (restoring.value = (loaded.data.value ?? []).map(({ user }) => user).filter((user) => chosen.value.has(user.id)))}>
            {words.restore}
          </button>
          <button type="button" class="plain" onClick={() => (chosen.value = new Set())}>
            {text.clear}
          </button>
        </div>
      )}
      {restoring.value && (
        <Restore
          project={project}
          users={restoring.value}
          onClose={() => (restoring.value = null)}
          onDone={() => {
            chosen.value = new Set();
            void loaded.reload();
          }}
        />
      )}
    </div>
  );
}

function Restore({ project, users, onClose, onDone }: { project: string; users: UserView[]; onClose: () => void; onDone: () => void }) {
  return (
    <Dialog title={words.restoreTitle(users.length)} onClose={onClose}>
      <Form
        submit={words.restore}
        onCancel={onClose}
        run={async (entered) => {
          const body = { keys: users.map((user) => user.key), key_expires: entered.moment("key_expires") };
          await call("POST /projects/{project_id}/users/restore", { project_id: project }, { body });
          tell(words.restored(users.length));
          onDone();
          onClose();
        }}
      >
        <TextField name="key_expires" label={words.expires} hint={words.expiresHint} type="datetime-local" />
      </Form>
    </Dialog>
  );
}
