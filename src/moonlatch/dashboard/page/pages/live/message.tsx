/** A message to running copies, and what each of them answers. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import type { MessagesReply, SessionView } from "../../api/types";
import { Dialog } from "../../parts/dialog";
import { FieldError, Form, TextArea, TextField } from "../../parts/form";
import { Table } from "../../parts/table";
import { text } from "../../text/en/live";

const AT_ONCE = 1000;
const LAST = { handler: "", data: "{}" };

type Answer = MessagesReply["responses"][number];

export function Message({ ids, sessions, onClose }: { ids: string[]; sessions: readonly SessionView[]; onClose: () => void }) {
  const answers = useSignal<Answer[]>([]);
  const keys = new Map(sessions.map((session) => [session.id, session.user_key ?? text.keyless]));
  return (
    <Dialog title={text.messageTitle(ids.length)} onClose={onClose} isLarge>
      <Form
        submit={text.send}
        onCancel={onClose}
        run={async (entered) => {
          LAST.handler = entered.text("key");
          LAST.data = entered.text("data");
          const body = { key: LAST.handler, data: parsed(LAST.data) };
          answers.value = [];
          for (let from = 0; from < ids.length; from += AT_ONCE) {
            const { responses } = await call("POST /sessions/message", {}, { body: { ...body, session_ids: ids.slice(from, from + AT_ONCE) } });
            answers.value = [...answers.value, ...responses];
          }
        }}
      >
        <TextField name="key" label={text.handler} hint={text.handlerHint} defaultValue={LAST.handler} maxLength={100} autoFocus />
        <TextArea name="data" label={text.data} hint={text.dataHint} class="mono" rows={6} defaultValue={LAST.data} />
      </Form>
      {answers.value.length > 0 && (
        <section class="stack" aria-live="polite">
          <h3>{text.answers}</h3>
          <Table
            caption={text.answers}
            rows={answers.value}
            keyOf={(answer) => answer.session_id}
            columns={[
              { label: text.key, isLead: true, show: (answer) => <code class="clip">{keys.get(answer.session_id) ?? answer.session_id}</code> },
              { label: text.state, show: (answer) => <span class={answer.processed ? "badge good" : "badge bad"}>{answer.processed ? text.processed : text.notProcessed}</span> },
              { label: text.answer, show: (answer) => <code class="wrap">{answer.processed ? JSON.stringify(answer.response) : (text.reasons[answer.reason ?? ""] ?? answer.reason)}</code> },
            ]}
          />
        </section>
      )}
    </Dialog>
  );
}

function parsed(source: string): unknown {
  if (source === "") return null;
  try {
    return JSON.parse(source);
  } catch (failure) {
    throw new FieldError("data", text.notJson((failure as Error).message));
  }
}
