/** One action for many keys: first what it would do, then done. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import type { BulkReply, BulkUsers } from "../../api/types";
import { Dialog } from "../../parts/dialog";
import { Choice, type Entered, Form, TextField, Tick } from "../../parts/form";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/keys";

const words = text.bulk;

export type Chosen = Pick<BulkUsers, "filter" | "users">;
type Action = "extend" | "blacklist" | "unblacklist" | "release" | "reset_fingerprint" | "remove";

const ACTIONS: [Action, string][] = [
  ["extend", words.extend],
  ["blacklist", words.blacklist],
  ["unblacklist", words.unblacklist],
  ["release", words.release],
  ["reset_fingerprint", words.reset],
  ["remove", words.remove],
];

interface Props {
  project: string;
  chosen: Chosen;
  onClose: () => void;
  onDone: () => void;
}

function bodyOf(action: Action, chosen: Chosen, entered: Entered): BulkUsers {
  switch (action) {
    case "extend":
      return { ...chosen, extend: { days: entered.number("extend.days") as number } };
    case "blacklist":
      return { ...chosen, blacklist: { reason: entered.text("blacklist.reason") || null, expires: entered.moment("blacklist.expires"), bar_networks: entered.flag("blacklist.bar_networks") } };
    case "unblacklist":
      return { ...chosen, unblacklist: {} };
    case "release":
      return { ...chosen, release: {} };
    case "reset_fingerprint":
      return { ...chosen, reset_fingerprint: { force: entered.flag("reset_fingerprint.force") } };
    case "remove":
      return { ...chosen, remove: { forever: entered.flag("remove.forever") } };
  }
}

export function Bulk({ project, chosen, onClose, onDone }: Props) {
  const action = useSignal<Action>("extend");
  const preview = useSignal<{ reply: BulkReply; body: BulkUsers } | null>(null);
  const send = (body: BulkUsers, isTrial: boolean) => call("POST /projects/{project_id}/users/bulk", { project_id: project }, { body, query: isTrial ? { dry_run: true } : {} });
  const seen = preview.value;
  return (
    <Dialog title={words.title} onClose={onClose}>
      <Form
        submit={seen ? words.go(seen.reply.changed) : words.preview}
        isDanger={seen !== null && (action.value === "remove" || action.value === "blacklist")}
        isDisabled={seen?.reply.changed === 0}
        onCancel={onClose}
        onInput={() => (preview.value = null)}
        run={async (entered) => {
          if (seen === null) {
            const body = bodyOf(action.value, chosen, entered);
            preview.value = { body, reply: await send(body, true) };
            return;
          }
          const { changed } = await send(seen.body, false);
          tell(words.done(changed));
          onDone();
          onClose();
        }}
      >
        <Choice name="action" label={words.title} options={ACTIONS} value={action.value} onChange={(event) => (action.value = event.currentTarget.value as Action)} />
        {action.value === "extend" && <TextField name="extend.days" label={words.days} inputMode="numeric" defaultValue="3" />}
        {action.value === "blacklist" && (
          <>
            <TextField name="blacklist.reason" label={words.reason} hint={words.reasonHint} maxLength={255} />
            <TextField name="blacklist.expires" label={words.until} hint={words.untilHint} type="datetime-local" />
            <Tick name="blacklist.bar_networks" label={words.networks} hint={words.networksHint} />
          </>
        )}
        {action.value === "reset_fingerprint" && <Tick name="reset_fingerprint.force" label={words.force} />}
        {action.value === "remove" && <Tick name="remove.forever" label={words.forever} />}
        {seen && (
          <div class="alert warn" role="status">
            <strong>{words.would(seen.reply.changed, seen.reply.matched)}</strong>
            {seen.reply.refused > 0 && (
              <>
                <span>{words.refused(seen.reply.refused)}</span>
                <ul>
                  {seen.reply.failures.map((failure) => (
                    <li key={failure.key}>
                      <code>{failure.key}</code>: {failure.reason}
                    </li>
                  ))}
                </ul>
              </>
            )}
          </div>
        )}
      </Form>
    </Dialog>
  );
}
