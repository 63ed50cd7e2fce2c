/** The people of the account. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { MemberLinkReply, MemberView } from "../../api/types";
import { Copyable } from "../../parts/copy";
import { Dialog } from "../../parts/dialog";
import { Icon } from "../../parts/icons";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";
import { text } from "../../text/en/team";
import { Invite } from "./invite";
import { Member } from "./member";

const words = text.members;
const BADGES: Record<string, string> = { active: "badge good", invited: "badge accent", disabled: "badge bad" };

export function Members() {
  const loaded = useLoaded("members", async (signal) => (await call("GET /members", {}, { signal })).members);
  const isInviting = useSignal(false);
  const edited = useSignal<MemberView | null>(null);
  const link = useSignal<MemberLinkReply | null>(null);

  function made(reply: MemberLinkReply) {
    isInviting.value = false;
    edited.value = null;
    link.value = reply;
    void loaded.reload();
  }

  return (
    <section class="card flush">
      <header>
        <div>
          <h2>{words.title}</h2>
          <p class="small quiet">{words.more}</p>
        </div>
        {may("members:write") && (
          <button type="button" class="primary" onClick={() => (isInviting.value = true)}>
            <Icon name="plus" />
            {words.invite}
          </button>
        )}
      </header>
      <Shown loaded={loaded}>
        {(members) =>
          members.length === 0 ? (
            <Empty title={words.none}>
              <p>{words.noneMore}</p>
            </Empty>
          ) : (
            <Table
              caption={words.title}
              rows={members}
              keyOf={(member) => member.id}
              columns={[
                {
                  label: words.name,
                  isLead: true,
                  show: (member) => (
                    <>
                      <strong class="wrap">{member.name}</strong> <span class="quiet small">{member.sign_in_name}</span>
                    </>
                  ),
                },
                { label: text.columns.state, show: (member) => <span class={BADGES[member.state]}>{words.states[member.state] ?? member.state}</span> },
                { label: words.role, show: (member) => member.role },
                { label: words.projects, show: (member) => (member.projects === null ? text.all : String(member.projects.length)) },
                { label: words.second, show: (member) => [member.totp_enabled && words.codes, member.passkeys > 0 && words.passkeys(member.passkeys)].filter(Boolean).join(", ") },
                { label: words.lastIn, show: (member) => <Time at={member.signed_in_at} /> },
                {
                  label: words.edit,
                  isAction: true,
                  show: (member) =>
                    may("members:write") && (
                      <button type="button" class="small" aria-label={`${words.edit}: ${member.name}`} onClick={() => (edited.value = member)}>
                        {words.edit}
                      </button>
                    ),
                },
              ]}
            />
          )
        }
      </Shown>
      {isInviting.value && <Invite onClose={() => (isInviting.value = false)} onMade={made} />}
      {edited.value && (
        <Member
          id={edited.value.id}
          onClose={() => {
            edited.value = null;
            void loaded.reload();
          }}
          onLink={made}
        />
      )}
      {link.value && <Link reply={link.value} onClose={() => (link.value = null)} />}
    </section>
  );
}

function Link({ reply, onClose }: { reply: MemberLinkReply; onClose: () => void }) {
  return (
    <Dialog title={words.link} onClose={onClose}>
      <p class="alert warn">{words.linkMore}</p>
      <Copyable value={reply.url} label={words.link} isWrapped />
      <p class="small quiet">
        {words.until} <Time at={reply.expires_at} />
      </p>
      <div class="row end">
        <button type="button" class="primary" onClick={onClose}>
          {words.done}
        </button>
      </div>
    </Dialog>
  );
}
