/** Server variables: listed, set, changed, removed. Their values are shown to who may change them. */
import { useSignal } from "@preact/signals";
import { ask, call, type BodyOf } from "../../api/client";
import { readAnewOnConflict } from "../../api/errors";
import { useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { VariableView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Form, TextArea, TextField } from "../../parts/form";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { bytesOf, Time } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/server";
import { text as shell } from "../../text/en/shell";
import { json, setVariable, variablesOf, type Owner } from "./owner";

const words = text.variables;
const CACHE_SECONDS = 300;

type Wanted = BodyOf<"POST /projects/{project_id}/variables">;

interface Doing {
  what: "set" | "remove";
  /** null: a new one. */
  variable: VariableView | null;
  /** As JSON. */
  value: string;
  etag: string | null;
}

const NEW: Doing = { what: "set", variable: null, value: "", etag: null };

export function Variables({ owner }: { owner: Owner }) {
  const loaded = useLoaded(`variables ${owner.kind} ${owner.id}`, (signal) => variablesOf(owner, signal));
  const doing = useSignal<Doing | null>(null);
  const close = () => (doing.value = null);
  async function done(said: string) {
    tell(said);
    close();
    await loaded.reload();
  }
  // Before its form is there: who opens it begins at its first field.
  async function change(variable: VariableView) {
    const { reply, etag } = await ask("GET /variables/{variable_id}", { variable_id: variable.id });
    doing.value = { what: "set", variable: reply.variable, value: JSON.stringify(reply.value, null, 2), etag };
  }
  const mayWrite = may("scripts:write");
  const { what, variable = null } = doing.value ?? {};
  return (
    <section class="card stack">
      <div class="row between">
        <div class="grow">
          <h2>{words.title}</h2>
          <p class="small quiet">{words.more}</p>
        </div>
        {mayWrite && (
          <button type="button" onClick={() => (doing.value = NEW)}>
            {words.add}
          </button>
        )}
      </div>
      <Shown loaded={loaded}>
        {(variables) =>
          variables.length === 0 ? (
            <Empty title={words.none} />
          ) : (
            <Table
              caption={words.title}
              rows={variables}
              keyOf={(each) => each.id}
              columns={[
                { label: shell.common.name, isLead: true, show: (each) => <code class="wrap">{each.name}</code> },
                { label: words.bytes, show: (each) => bytesOf(each.value_bytes) },
                { label: words.cache, show: (each) => each.cache_seconds },
                { label: words.changed, show: (each) => <Time at={each.updated_at} /> },
                {
                  label: words.change,
                  isAction: true,
                  show: (each) =>
                    mayWrite && (
                      <span class="row end nowrap">
                        <button type="button" class="small" aria-label={words.changeNamed(each.name)} onClick={() => void change(each).catch(tellFailure)}>
                          {words.change}
                        </button>
                        <button type="button" class="small danger" aria-label={words.removeNamed(each.name)} onClick={() => (doing.value = { ...NEW, what: "remove", variable: each })}>
                          {shell.common.remove}
                        </button>
                      </span>
                    ),
                },
              ]}
            />
          )
        }
      </Shown>
      {doing.value?.what === "set" && <SetVariable owner={owner} doing={doing.value} onClose={close} onDone={done} reload={loaded.reload} />}
      {what === "remove" && variable !== null && (
        <Confirm
          title={words.removeNamed(variable.name)}
          submit={shell.common.remove}
          onClose={close}
          run={async () => {
            await call("POST /variables/{variable_id}/remove", { variable_id: variable.id });
            await done(text.removed(variable.name));
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
  onClose: () => void;
  onDone: (said: string) => Promise<void>;
  reload: () => Promise<void>;
}

function SetVariable({ owner, doing: { variable, value, etag }, onClose, onDone, reload }: SetProps) {
  return (
    <Dialog title={variable === null ? words.add : words.changeNamed(variable.name)} onClose={onClose}>
      <Form
        submit={shell.common.save}
        onCancel={onClose}
        run={async (entered) => {
          const typed = entered.text("value");
          const body = {
            name: variable?.name ?? entered.text("name"),
            value: (json(typed) ?? typed) as Wanted["value"],
            cache_seconds: (entered.number("cache_seconds") ?? CACHE_SECONDS) as NonNullable<Wanted["cache_seconds"]>,
          };
          await readAnewOnConflict(reload, () => setVariable(owner, body, etag));
          await onDone(text.isSet(body.name));
        }}
      >
        {variable === null && <TextField name="name" label={shell.common.name} maxLength={64} required autoFocus />}
        <TextArea name="value" label={words.value} hint={words.valueHint} defaultValue={value} rows={6} class="mono" />
        <TextField name="cache_seconds" label={words.cache} hint={words.cacheHint} inputMode="numeric" defaultValue={String(variable?.cache_seconds ?? CACHE_SECONDS)} />
      </Form>
    </Dialog>
  );
}
