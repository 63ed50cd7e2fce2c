/** One device of a key: called by a name, and unbound by itself. */
import { call } from "../../api/client";
import type { UserView } from "../../api/types";
import { Dialog } from "../../parts/dialog";
import { Form, TextField, Tick } from "../../parts/form";
import { Squares } from "../../parts/squares";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/keys";

const words = text.page.devices;

export interface Device {
  id: string;
  name: string | null;
  picture: string;
}

interface Props {
  user: UserView;
  device: Device;
  onClose: () => void;
  onDone: () => void;
}

export function NameDevice({ user, device, onClose, onDone }: Props) {
  return (
    <Dialog title={words.nameTitle} onClose={onClose}>
      <Form
        submit={words.rename}
        onCancel={onClose}
        run={async (entered) => {
          await call("POST /users/{key}/name_device", { key: user.id }, { body: { device: device.id, name: entered.text("name") } });
          tell(words.named);
          onClose();
          onDone();
        }}
      >
        <Squares of={device.picture} />
        <TextField name="name" label={words.name} hint={words.nameHint} defaultValue={device.name ?? ""} maxLength={100} autoFocus />
      </Form>
    </Dialog>
  );
}

export function UnbindDevice({ user, device, onClose, onDone }: Props) {
  return (
    <Dialog title={words.unbindTitle} onClose={onClose}>
      <Form
        submit={words.unbind}
        onCancel={onClose}
        run={async (entered) => {
          await call("POST /users/{key}/reset_fingerprint", { key: user.id }, { body: { device: device.id, force: entered.flag("force") } });
          tell(text.page.resetDone);
          onClose();
          onDone();
        }}
      >
        <p class="row">
          <Squares of={device.picture} />
          {device.name !== null && <strong class="wrap">{device.name}</strong>}
        </p>
        <p>{words.unbindMore}</p>
        <Tick name="force" label={text.bulk.force} />
      </Form>
    </Dialog>
  );
}
