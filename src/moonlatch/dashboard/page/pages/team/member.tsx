/** One member: what they may, and the ways back in for who lost theirs. */
import { useSignal } from "@preact/signals";
import { ask, call } from "../../api/client";
import { useLoaded } from "../../api/load";
import type { EditMember, MemberLinkReply } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Choice, TextField, Tick } from "../../parts/form";
import { SaveForm } from "../../parts/save";
import { Shown } from "../../parts/status";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/team";
import { ProjectTicks } from "./project_ticks";

const words = text.members;

export function Member({ id, onClose, onLink }: { id: string; onClose: () => void; onLink: (reply: MemberLinkReply) => void }) {
  const at = { member_id: id };
  const isRemoving = useSignal(false);
  const loaded = useLoaded(`member ${id}`, (signal) => ask("GET /members/{member_id}", at, { signal }));
  const doing = (what: () => Promise<unknown>, said: string) => () => void what().then(() => tell(said), tellFailure);
  return (
    <Shown loaded={loaded}>
      {({ reply: { member }, etag }) =>
        isRemoving.value ? (
          <Confirm
            title={`${words.remove}: ${member.name}`}
            name={member.name}
            submit={words.remove}
            onClose={onClose}
            run={async () => {
              await call("POST /members/{member_id}/remove", at);
              tell(words.removed);
              onClose();
            }}
          >
            <p>{words.removeMore}</p>
          </Confirm>
        ) : (
          <Dialog title={member.name} onClose={onClose}>
            <SaveForm
              etag={etag}
              reload={loaded.reload}
              run={async (entered, version) => {
                const projects = entered.all("projects");
                const body: EditMember = {
                  name: entered.text("name"),
                  role: entered.text("role") as NonNullable<EditMember["role"]>,
                  projects: projects.length === 0 ? "" : projects,
                  disabled: entered.flag("disabled"),
                };
                await call("POST /members/{member_id}/edit", at, { body, etag: version });
              }}
            >
              <TextField name="name" label={words.name} defaultValue={member.name} maxLength={100} required />
              <Choice name="role" label={words.role} options={words.roles} defaultValue={member.role} />
              <ProjectTicks chosen={member.projects} />
              <Tick name="disabled" label={words.disabled} defaultChecked={member.state === "disabled"} />
            </SaveForm>
            <div class="row">
              <button type="button" class="small" onClick={() => void call("POST /members/{member_id}/link", at).then(onLink, tellFailure)}>
                {words.newLink}
              </button>
              {member.link_expires_at !== null && (
                <button type="button" class="small" onClick={doing(() => call("POST /members/{member_id}/link/revoke", at).then(loaded.reload), words.linkRevoked)}>
                  {words.revokeLink}
                </button>
              )}
              <button type="button" class="small" onClick={doing(() => call("POST /members/{member_id}/sign_out", at), words.signedOut)}>
                {words.signOut}
              </button>
              <button type="button" class="small" onClick={doing(() => call("POST /members/{member_id}/reset_second_factor", at), words.resetDone)}>
                {words.resetSecond}
              </button>
              <button type="button" class="small danger" onClick={() => (isRemoving.value = true)}>
                {words.remove}
              </button>
            </div>
          </Dialog>
        )
      }
    </Shown>
  );
}
