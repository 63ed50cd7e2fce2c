/** An offline licence: a file that starts a script on one device without asking the server. */
import { call } from "../../api/client";
import type { UserView } from "../../api/types";
import { useScripts } from "../../data/scripts";
import { Dialog } from "../../parts/dialog";
import { download } from "../../parts/download";
import { Choice, Form, TextField } from "../../parts/form";
import { Shown } from "../../parts/status";
import { moment } from "../../parts/time";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/keys";

const words = text.page.licence;

export function Licence({ user, onClose }: { user: UserView; onClose: () => void }) {
  const scripts = useScripts(user.project_id);
  return (
    <Dialog title={words.title} onClose={onClose}>
      <p>{words.more}</p>
      <Shown loaded={scripts}>
        {(all) => {
          const offline = all.filter((script) => script.offline_days > 0 && script.enabled);
          if (offline.length === 0) return <p class="alert warn">{words.none}</p>;
          return (
            <Form
              submit={words.make}
              onCancel={onClose}
              run={async (entered) => {
                const body = { script_id: entered.text("script_id"), device: entered.text("device"), days: entered.number("days") };
                const { licence } = await call("POST /users/{key}/licence", { key: user.id }, { body });
                download("licence.lua", "text/plain", licence.program);
                tell(words.made(licence.build, moment(licence.expires)));
                onClose();
              }}
            >
              <Choice name="script_id" label={words.script} options={offline.map((script) => [script.id, script.name])} />
              <TextField name="device" label={words.device} hint={words.deviceHint} maxLength={512} />
              <TextField name="days" label={words.days} hint={words.daysHint} inputMode="numeric" />
            </Form>
          );
        }}
      </Shown>
    </Dialog>
  );
}
