/** Keys from a file, a thousand at a time. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { ApiError } from "../../api/errors";
import type { NewUser } from "../../api/types";
import { read } from "../../parts/csv";
import { Dialog } from "../../parts/dialog";
import { Form, TextField } from "../../parts/form";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/keys";

const AT_ONCE = 1000;
const MOST = 50_000;
const COLUMNS: Record<string, (value: string) => unknown> = {
  key: String,
  discord_id: String,
  note: String,
  key_days: Number,
  key_expires: (value) => (/^[0-9]+$/.test(value) ? Number(value) : new Date(value).getTime()),
  max_instances: Number,
  max_executions: Number,
  max_devices: Number,
  fingerprintless: (value) => /^(true|yes|1)$/i.test(value),
};
/** What an export has besides: shown there, not taken here. */
const PASSED_OVER = new Set(["id", "executions", "blacklisted", "blacklist_reason", "executor", "created_at"]);

/** The rows of a file as the API takes them. Raises Error for a column that means nothing. */
function usersOf(source: string): NewUser[] {
  const [head = [], ...rows] = read(source);
  const names = head.map((name) => name.trim().toLowerCase());
  const unknown = names.filter((name) => !(name in COLUMNS) && !PASSED_OVER.has(name));
  if (unknown.length > 0) throw new Error(text.csv.unknown(unknown.join(", ")));
  if (rows.length === 0) throw new Error(text.csv.empty);
  if (rows.length > MOST) throw new Error(text.csv.tooMany);
  return rows.map((cells) => {
    const user: Record<string, unknown> = {};
    for (const [index, name] of names.entries()) {
      const value = (cells[index] ?? "").trim();
      const take = COLUMNS[name];
      if (value !== "" && take) user[name] = take(value);
    }
    return user as NewUser;
  });
}

export function ImportKeys({ project, onClose, onMade }: { project: string; onClose: () => void; onMade: () => void }) {
  const users = useSignal<NewUser[]>([]);
  const failure = useSignal("");
  async function chosen(event: Event & { currentTarget: HTMLInputElement }) {
    const file = event.currentTarget.files?.[0];
    users.value = [];
    failure.value = "";
    if (!file) return;
    try {
      users.value = usersOf(await file.text());
    } catch (caught) {
      failure.value = (caught as Error).message;
    }
  }
  return (
    <Dialog title={text.csv.title} onClose={onClose}>
      <Form
        submit={text.csv.go}
        isDisabled={users.value.length === 0}
        onCancel={onClose}
        run={async () => {
          const all = users.value;
          for (let from = 0; from < all.length; from += AT_ONCE) {
            try {
              await call("POST /projects/{project_id}/users", { project_id: project }, { body: { users: all.slice(from, from + AT_ONCE) } });
            } catch (caught) {
              if (from > 0) {
                users.value = all.slice(from);
                onMade();
                if (caught instanceof ApiError) tell(text.csv.partly(from), true);
              }
              throw caught;
            }
          }
          tell(text.csv.done(all.length));
          onMade();
          onClose();
        }}
      >
        <p class="quiet">{text.csv.explain}</p>
        <TextField name="file" type="file" label={text.csv.file} accept=".csv,text/csv,text/plain" onChange={chosen} />
        {users.value.length > 0 && <p role="status">{text.csv.rows(users.value.length)}</p>}
        {failure.value && (
          <p class="alert" role="alert">
            {failure.value}
          </p>
        )}
      </Form>
    </Dialog>
  );
}
