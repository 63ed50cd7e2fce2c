/** Asks what a new project is to be, makes it, and leads there. */
import { call } from "../../api/client";
import { loadProjects } from "../../data/projects";
import { Dialog } from "../../parts/dialog";
import { Form, TextField, Tick } from "../../parts/form";
import { tell } from "../../parts/toast";
import { go, to } from "../../shell/router";
import { text } from "../../text/en/settings";

export function NewProject({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={text.newProject} onClose={onClose}>
      <Form
        submit={text.create}
        onCancel={onClose}
        run={async (entered) => {
          const body = { name: entered.text("name"), require_fingerprint: entered.flag("require_fingerprint") };
          const { project } = await call("POST /projects", {}, { body });
          await loadProjects();
          tell(text.created(project.name));
          onClose();
          go(to(`/projects/${project.id}/overview`));
        }}
      >
        <TextField name="name" label={text.name} maxLength={100} required autoFocus />
        <Tick name="require_fingerprint" label={text.requireFingerprint} hint={text.requireFingerprintHint} defaultChecked />
      </Form>
    </Dialog>
  );
}
