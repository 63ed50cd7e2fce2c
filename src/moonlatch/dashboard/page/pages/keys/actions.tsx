/** What is done to one key. */
import { call } from "../../api/client";
import type { UserView } from "../../api/types";
import { Dialog } from "../../parts/dialog";
import { type Entered, Form, TextField, Tick } from "../../parts/form";
import { tell } from "../../parts/toast";
import { go, to } from "../../shell/router";
import { text } from "../../text/en/keys";

const words = text.page;

export type Action = "stop" | "extend" | "reset" | "blacklist" | "unblacklist" | "release" | "remove";

interface Props {
  action: Action;
  user: UserView;
  onClose: () => void;
  onDone: () => void;
}

const TITLES: Record<Action, string> = {
  stop: words.stopTitle,
  extend: words.extendTitle,
  reset: words.resetTitle,
  blacklist: words.blacklistTitle,
  unblacklist: words.actions.unblacklist,
  release: words.actions.release,
  remove: words.removeTitle,
};

const DONE: Record<Action, string> = {
  stop: words.stopDone,
  extend: words.extended,
  reset: words.resetDone,
  blacklist: words.blacklistDone,
  unblacklist: words.unblacklistDone,
  release: words.releaseDone,
  remove: words.removeDone,
};

async function carryOut(action: Action, user: UserView, entered: Entered): Promise<void> {
  const at = { key: user.id };
  switch (action) {
    case "stop":
      await call("POST /users/{key}/revoke_instances", at);
      return;
    case "extend": {
      // The server adds to what it has by then, whatever this page has shown.
      const body = { users: [user.id], extend: { days: entered.number("extend.days") as number } };
      const { failures } = await call("POST /projects/{project_id}/users/bulk", { project_id: user.project_id }, { body });
      if (failures[0]) throw new Error(failures[0].reason);
      return;
    }
    case "reset":
      await call("POST /users/{key}/reset_fingerprint", at, { body: { force: entered.flag("force") } });
      return;
    case "blacklist":
      await call("POST /users/{key}/blacklist", at, { body: { reason: entered.text("reason") || null, expires: entered.moment("expires"), bar_networks: entered.flag("bar_networks") } });
      return;
    case "unblacklist":
      await call("POST /users/{key}/unblacklist", at);
      return;
    case "release":
      await call("POST /users/{key}/release", at);
      return;
    case "remove":
      await call("POST /users/{key}/remove", at, { body: { forever: entered.flag("forever") } });
  }
}

export function KeyActions({ action, user, onClose, onDone }: Props) {
  return (
    <Dialog title={TITLES[action]} onClose={onClose}>
      <Form
        submit={words.actions[action]}
        isDanger={action === "remove" || action === "blacklist" || action === "stop"}
        onCancel={onClose}
        run={async (entered) => {
          await carryOut(action, user, entered);
          tell(DONE[action]);
          onClose();
          if (action === "remove") go(to(`/projects/${user.project_id}/keys`));
          else onDone();
        }}
      >
        <p class="mono wrap">{user.key}</p>
        {action === "stop" && <p>{words.stopMore}</p>}
        {action === "extend" && <TextField name="extend.days" label={words.extendDays} hint={words.extendHint} inputMode="numeric" defaultValue="3" autoFocus />}
        {action === "reset" && (
          <>
            <p>{words.resetMore}</p>
            <Tick name="force" label={text.bulk.force} />
          </>
        )}
        {action === "blacklist" && (
          <>
            <p>{words.blacklistMore}</p>
            <TextField name="reason" label={text.bulk.reason} hint={text.bulk.reasonHint} maxLength={255} autoFocus />
            <TextField name="expires" label={text.bulk.until} hint={text.bulk.untilHint} type="datetime-local" />
            <Tick name="bar_networks" label={text.bulk.networks} hint={text.bulk.networksHint} />
          </>
        )}
        {action === "release" && <p>{words.releaseMore}</p>}
        {action === "remove" && (
          <>
            <p>{words.removeMore}</p>
            <Tick name="forever" label={words.forever} />
          </>
        )}
      </Form>
    </Dialog>
  );
}
