/** Makes one key, or a thousand alike. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import type { UserView } from "../../api/types";
import { useScripts } from "../../data/scripts";
import { addressOf, loaderOf, useServer } from "../../data/server";
import { Copyable } from "../../parts/copy";
import { written } from "../../parts/csv";
import { Dialog } from "../../parts/dialog";
import { download } from "../../parts/download";
import { Choice, Form, TextField, Tick } from "../../parts/form";
import { text } from "../../text/en/keys";

const words = text.newKeys;

export function NewKeys({ project, onClose, onMade }: { project: string; onClose: () => void; onMade: () => void }) {
  const time = useSignal("forever");
  const made = useSignal<UserView[] | null>(null);
  if (made.value) return <Made project={project} users={made.value} onClose={onClose} />;
  return (
    <Dialog title={words.title} onClose={onClose}>
      <Form
        submit={words.title}
        onCancel={onClose}
        run={async (entered) => {
          const body = {
            amount: entered.number("amount") ?? 1,
            key_days: time.value === "days" ? entered.number("key_days") : null,
            key_expires: time.value === "until" ? entered.moment("key_expires") : null,
            note: entered.text("note") || null,
            discord_id: entered.text("discord_id") || null,
            max_instances: entered.number("max_instances"),
            max_executions: entered.number("max_executions"),
            max_devices: entered.number("max_devices"),
            fingerprintless: entered.flag("fingerprintless"),
          };
          const { users } = await call("POST /projects/{project_id}/users", { project_id: project }, { body });
          onMade();
          made.value = users;
        }}
      >
        <div class="fields two">
          <TextField name="amount" label={words.amount} hint={words.amountHint} inputMode="numeric" defaultValue="1" autoFocus />
          <Choice name="time" label={words.time} options={words.times} value={time.value} onChange={(event) => (time.value = event.currentTarget.value)} />
          {time.value === "days" && <TextField name="key_days" label={words.days} inputMode="numeric" defaultValue="30" />}
          {time.value === "until" && <TextField name="key_expires" label={words.until} type="datetime-local" />}
        </div>
        <TextField name="note" label={words.note} hint={words.noteHint} maxLength={255} />
        <details>
          <summary>{words.more}</summary>
          <div class="fields inset">
            <TextField name="discord_id" label={words.discord} hint={words.discordHint} maxLength={40} inputMode="numeric" />
            <div class="fields two">
              <TextField name="max_instances" label={words.instances} hint={words.instancesHint} inputMode="numeric" />
              <TextField name="max_devices" label={words.deviceLimit} hint={words.instancesHint} inputMode="numeric" />
              <TextField name="max_executions" label={words.executions} hint={words.executionsHint} inputMode="numeric" />
            </div>
            <Tick name="fingerprintless" label={words.fingerprintless} hint={words.fingerprintlessHint} />
          </div>
        </details>
      </Form>
    </Dialog>
  );
}

function Made({ project, users, onClose }: { project: string; users: UserView[]; onClose: () => void }) {
  const keys = users.map((user) => user.key);
  return (
    <Dialog title={words.made(users.length)} onClose={onClose} isLarge>
      <Copyable value={keys.join("\n")} label={text.title} />
      {users[0] && users.length === 1 && <Hand project={project} userKey={users[0].key} />}
      <div class="row end">
        <button type="button" onClick={() => download("keys.csv", "text/csv", written([["key", "note"], ...users.map((user) => [user.key, user.note])]))}>
          {words.download}
        </button>
        <button type="button" class="primary" autoFocus onClick={onClose}>
          {words.done}
        </button>
      </div>
    </Dialog>
  );
}

/** What the customer is given, where it is clear which script that is for. */
function Hand({ project, userKey }: { project: string; userKey: string }) {
  const scripts = useScripts(project).data.value;
  const server = useServer();
  const [script, ...others] = scripts?.filter((each) => each.enabled && !each.free_for_all) ?? [];
  if (!script || others.length > 0) return scripts && <p class="small quiet">{words.hand}</p>;
  return (
    <>
      <p>{words.handThis(script.name)}</p>
      <Copyable value={loaderOf(script.id, addressOf(server.data.value), userKey)} label={words.handed} />
    </>
  );
}
