/** Makes an API token, and shows it once. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { may } from "../../api/session";
import type { Permission } from "../../api/types";
import { Copyable } from "../../parts/copy";
import { Dialog } from "../../parts/dialog";
import { Form, TextArea, TextField, Tick } from "../../parts/form";
import { text } from "../../text/en/team";

export function NewToken({ onClose, onMade }: { onClose: () => void; onMade: () => void }) {
  const secret = useSignal("");
  const isAll = useSignal(true);
  if (secret.value) {
    return (
      <Dialog title={text.made} onClose={onClose}>
        <p class="alert good">{text.madeMore}</p>
        <Copyable value={secret.value} label={text.made} isWrapped />
        <div class="row end">
          <button type="button" class="primary" onClick={onClose}>
            {text.done}
          </button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={text.newToken} onClose={onClose}>
      <Form
        submit={text.create}
        onCancel={onClose}
        run={async (entered) => {
          const addresses = entered.text("ip_allow").split(/\s+/).filter(Boolean);
          const body = {
            name: entered.text("name"),
            expires_at: entered.moment("expires_at"),
            ip_allow: addresses,
            permissions: isAll.value ? null : (entered.all("permissions") as Permission[]),
          };
          secret.value = (await call("POST /account/tokens", {}, { body })).secret;
          onMade();
        }}
      >
        <TextField name="name" label={text.columns.name} maxLength={100} required autoFocus />
        <TextField name="expires_at" label={text.expires} hint={text.expiresHint} type="datetime-local" />
        <TextArea name="ip_allow" label={text.ip} hint={text.ipHint} rows={2} />
        <fieldset class="fields tight">
          <legend>{text.may}</legend>
          <label class="tick">
            <input type="radio" name="which" checked={isAll.value} onChange={() => (isAll.value = true)} />
            <span>{text.mayAll}</span>
          </label>
          <label class="tick">
            <input type="radio" name="which" checked={!isAll.value} onChange={() => (isAll.value = false)} />
            <span>{text.maySome}</span>
          </label>
          {!isAll.value && (
            <div class="fields two tight">
              {Object.entries(text.permissions)
                .filter(([permission]) => may(permission as Permission))
                .map(([permission, words]) => (
                  <Tick key={permission} name="permissions" value={permission} label={words} />
                ))}
            </div>
          )}
        </fieldset>
      </Form>
    </Dialog>
  );
}
