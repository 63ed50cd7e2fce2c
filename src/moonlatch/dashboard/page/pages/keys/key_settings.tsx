/** The settings of one key. */
import { call } from "../../api/client";
import { may } from "../../api/session";
import type { EditUser, UserView } from "../../api/types";
import { localTime, TextField, Tick } from "../../parts/form";
import { SaveForm } from "../../parts/save";
import { text } from "../../text/en/keys";

const words = text.page.edit;

export function KeySettings({ user, etag, reload }: { user: UserView; etag: string | null; reload: () => Promise<void> }) {
  return (
    <SaveForm
      etag={etag}
      reload={reload}
      run={async (entered, version) => {
        const body: EditUser = {
          note: entered.text("note"),
          discord_id: entered.text("discord_id"),
          max_instances: entered.number("max_instances") ?? "",
          max_executions: entered.number("max_executions") ?? "",
          max_devices: entered.number("max_devices") ?? "",
          fingerprintless: entered.flag("fingerprintless"),
          ...validity(entered.text("key_expires"), entered.moment("key_expires"), entered.number("key_days"), user),
        };
        await call("POST /users/{key}/edit", { key: user.id }, { body, etag: version });
      }}
    >
      <fieldset class="fields" disabled={!may("keys:write")}>
        <TextField name="note" label={words.note} defaultValue={user.note ?? ""} maxLength={255} />
        <div class="fields two">
          <TextField name="discord_id" label={words.discord} defaultValue={user.discord_id ?? ""} maxLength={40} />
          <TextField name="key_expires" label={words.expires} hint={words.expiresHint} type="datetime-local" defaultValue={localTime(user.key_expires)} />
          <TextField name="key_days" label={words.days} inputMode="numeric" defaultValue={user.key_days === null ? "" : String(user.key_days)} />
          <TextField name="max_instances" label={words.instances} hint={words.emptyProject} inputMode="numeric" defaultValue={user.max_instances === null ? "" : String(user.max_instances)} />
          <TextField name="max_executions" label={words.executions} hint={words.emptyAny} inputMode="numeric" defaultValue={user.max_executions === null ? "" : String(user.max_executions)} />
          <TextField name="max_devices" label={words.deviceLimit} hint={words.emptyProject} inputMode="numeric" defaultValue={user.max_devices === null ? "" : String(user.max_devices)} />
        </div>
        <Tick name="fingerprintless" label={words.fingerprintless} defaultChecked={user.fingerprintless} />
      </fieldset>
    </SaveForm>
  );
}

/** Only what was changed: a field of the page knows minutes, the key knows milliseconds. */
function validity(shown: string, at: number | null, days: number | null, user: UserView): Pick<EditUser, "key_expires" | "key_days"> {
  if (shown !== localTime(user.key_expires)) return { key_expires: at ?? "" };
  return days === user.key_days ? {} : { key_days: days ?? "" };
}
