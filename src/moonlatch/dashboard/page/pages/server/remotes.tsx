/** Server webhooks and functions: listed, set, changed, removed. Where they lead, is among the webhooks. */
import { useSignal } from "@preact/signals";
import { ask, call, type BodyOf } from "../../api/client";
import { readAnewOnConflict } from "../../api/errors";
import { useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { EndpointView, RemoteView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Choice, FieldError, Form, TextArea, TextField } from "../../parts/form";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { tell, tellFailure } from "../../parts/toast";
import { to } from "../../shell/router";
import { text } from "../../text/en/server";
import { text as shell } from "../../text/en/shell";
import { json, remotesOf, setRemote, type Owner } from "./owner";

const words = text.remotes;

type Wanted = BodyOf<"POST /projects/{project_id}/remotes">;

interface Doing {
  what: "set" | "remove";
  /** null: a new one. */
  remote: RemoteView | null;
  etag: string | null;
}

const NEW: Doing = { what: "set", remote: null, etag: null };

export function Remotes({ project, owner }: { project: string; owner: Owner }) {
  const loaded = useLoaded(`remotes ${owner.kind} ${owner.id}`, async (signal) => ({
    remotes: await remotesOf(owner, signal),
    endpoints: (await call("GET /projects/{project_id}/endpoints", { project_id: project }, { signal })).endpoints,
  }));
  const doing = useSignal<Doing | null>(null);
  const close = () => (doing.value = null);
  async function done(said: string) {
    tell(said);
    close();
    await loaded.reload();
  }
  // Before its form is there: who opens it begins at its first field.
  async function change(remote: RemoteView) {
    const { reply, etag } = await ask("GET /remotes/{remote_id}", { remote_id: remote.id });
    doing.value = { what: "set", remote: reply.remote, etag };
  }
  const mayWrite = may("webhooks:write");
  const { what, remote = null } = doing.value ?? {};
  return (
    <section class="card stack">
      <div class="row between">
        <div class="grow">
          <h2>{words.title}</h2>
          <p class="small quiet">{words.more}</p>
        </div>
        {mayWrite && (
          <button type="button" disabled={!loaded.data.value?.endpoints.length} onClick={() => (doing.value = NEW)}>
            {words.add}
          </button>
        )}
      </div>
      <Shown loaded={loaded}>
        {({ remotes, endpoints }) => (
          <>
            {endpoints.length === 0 && (
              <p class="small">
                <a href={to(`/projects/${project}/webhooks`)}>{words.noEndpoint}</a>
              </p>
            )}
            {remotes.length === 0 ? (
              <Empty title={words.none} />
            ) : (
              <Table
                caption={words.title}
                rows={remotes}
                keyOf={(each) => each.id}
                columns={[
                  { label: shell.common.name, isLead: true, show: (each) => <code class="wrap">{each.name}</code> },
                  { label: words.kind, show: (each) => words.kindNames[each.kind] ?? each.kind },
                  {
                    label: words.endpoint,
                    show: (each) => (
                      <a class="clip" href={to(`/projects/${project}/webhooks/${each.endpoint_id}`)}>
                        {endpoints.find((endpoint) => endpoint.id === each.endpoint_id)?.name ?? each.endpoint_id}
                      </a>
                    ),
                  },
                  {
                    label: words.change,
                    isAction: true,
                    show: (each) =>
                      mayWrite && (
                        <span class="row end nowrap">
                          <button type="button" class="small" aria-label={words.changeNamed(each.name)} onClick={() => void change(each).catch(tellFailure)}>
                            {words.change}
                          </button>
                          <button type="button" class="small danger" aria-label={words.removeNamed(each.name)} onClick={() => (doing.value = { what: "remove", remote: each, etag: null })}>
                            {shell.common.remove}
                          </button>
                        </span>
                      ),
                  },
                ]}
              />
            )}
            {doing.value?.what === "set" && <SetRemote owner={owner} doing={doing.value} endpoints={endpoints} onClose={close} onDone={done} reload={loaded.reload} />}
          </>
        )}
      </Shown>
      {what === "remove" && remote !== null && (
        <Confirm
          title={words.removeNamed(remote.name)}
          submit={shell.common.remove}
          onClose={close}
          run={async () => {
            await call("POST /remotes/{remote_id}/remove", { remote_id: remote.id });
            await done(text.removed(remote.name));
          }}
        >
          <p>{words.removeMore}</p>
        </Confirm>
      )}
    </section>
  );
}

interface SetProps {
  owner: Owner;
  doing: Doing;
  endpoints: readonly EndpointView[];
  onClose: () => void;
  onDone: (said: string) => Promise<void>;
  reload: () => Promise<void>;
}

function SetRemote({ owner, doing: { remote, etag }, endpoints, onClose, onDone, reload }: SetProps) {
  return (
    <Dialog title={remote === null ? words.add : words.changeNamed(remote.name)} onClose={onClose}>
      <Form
        submit={shell.common.save}
        onCancel={onClose}
        run={async (entered) => {
          const typed = entered.text("template");
          const template = json(typed);
          if (typed && template === undefined) throw new FieldError("template", words.notJson);
          const body = {
            name: remote?.name ?? entered.text("name"),
            kind: entered.text("kind") as Wanted["kind"],
            endpoint_id: entered.text("endpoint_id"),
            template: (template ?? null) as NonNullable<Wanted["template"]> | null,
            per_key: entered.number("per_key") as NonNullable<Wanted["per_key"]>,
            per_instance: entered.number("per_instance") as NonNullable<Wanted["per_instance"]>,
            timeout_seconds: entered.number("timeout_seconds") as NonNullable<Wanted["timeout_seconds"]>,
          };
          await readAnewOnConflict(reload, () => setRemote(owner, body, etag));
          await onDone(text.isSet(body.name));
        }}
      >
        {remote === null && <TextField name="name" label={shell.common.name} maxLength={64} required autoFocus />}
        <Choice name="kind" label={words.kind} options={words.kinds} defaultValue={remote?.kind} />
        <Choice name="endpoint_id" label={words.endpoint} options={endpoints.map((endpoint): [string, string] => [endpoint.id, endpoint.name])} defaultValue={remote?.endpoint_id} />
        <TextArea name="template" label={words.template} hint={words.templateHint} defaultValue={remote?.template == null ? "" : JSON.stringify(remote.template, null, 2)} rows={5} class="mono" />
        <TextField name="per_key" label={words.perKey} inputMode="numeric" defaultValue={String(remote?.per_key ?? 30)} required />
        <TextField name="per_instance" label={words.perInstance} inputMode="numeric" defaultValue={String(remote?.per_instance ?? 10)} required />
        <TextField name="timeout_seconds" label={words.timeout} inputMode="numeric" defaultValue={String(remote?.timeout_seconds ?? 5)} required />
      </Form>
    </Dialog>
  );
}
