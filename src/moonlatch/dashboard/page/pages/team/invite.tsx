/** Asks somebody in. */
import { call } from "../../api/client";
import type { Invite as Body, MemberLinkReply } from "../../api/types";
import { Dialog } from "../../parts/dialog";
import { Choice, Form, TextField } from "../../parts/form";
import { text } from "../../text/en/team";
import { ProjectTicks } from "./project_ticks";

const words = text.members;

export function Invite({ onClose, onMade }: { onClose: () => void; onMade: (reply: MemberLinkReply) => void }) {
  return (
    <Dialog title={words.inviteTitle} onClose={onClose}>
      <Form
        submit={words.invite}
        onCancel={onClose}
        run={async (entered) => {
          const projects = entered.all("projects");
          const body: Body = {
            name: entered.text("name"),
            sign_in_name: entered.text("sign_in_name"),
            role: entered.text("role") as Body["role"],
            projects: projects.length === 0 ? null : projects,
          };
          onMade(await call("POST /members", {}, { body }));
        }}
      >
        <TextField name="name" label={words.name} maxLength={100} required autoFocus />
        <TextField name="sign_in_name" label={words.signInName} hint={words.signInNameHint} autoCapitalize="none" maxLength={254} required />
        <Choice name="role" label={words.role} options={words.roles} defaultValue="support" />
        <ProjectTicks chosen={null} />
      </Form>
    </Dialog>
  );
}
