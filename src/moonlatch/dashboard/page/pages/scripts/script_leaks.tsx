/** Whose copy a leaked text is: what the marks of a script's copies tell. */
import { useSignal } from "@preact/signals";
import { type Answer, call } from "../../api/client";
import type { ScriptView } from "../../api/types";
import { Form, TextArea, TextField } from "../../parts/form";
import { Table } from "../../parts/table";
import { numberOf } from "../../parts/time";
import { to } from "../../shell/router";
import { text as words } from "../../text/en/script_leaks";

type Traced = Answer<"POST /scripts/{script_id}/trace">["reply"];

export function ScriptLeaks({ script }: { script: ScriptView }) {
  const traced = useSignal<Traced | null>(null);
  return (
    <>
      <div>
        <h2>{words.title}</h2>
        <p class="small quiet">{words.more}</p>
      </div>
      {!script.mark_copies && <p class="quiet">{words.off}</p>}
      <Form
        submit={words.trace}
        run={async (entered) => {
          traced.value = null;
          traced.value = await call("POST /scripts/{script_id}/trace", { script_id: script.id }, { body: { file: entered.text("file"), build: entered.number("build") } });
        }}
      >
        <TextArea name="file" label={words.file} rows={8} class="mono" required />
        <TextField name="build" label={words.build} hint={words.buildHint} inputMode="numeric" />
      </Form>
      <div class="stack" role="status">{traced.value && <Suspects script={script} traced={traced.value} />}</div>
    </>
  );
}

function Suspects({ script, traced }: { script: ScriptView; traced: Traced }) {
  const named = traced.suspects.filter((each) => each.named);
  const keyed = traced.run_keys.filter((each) => each.named);
  return (
    <>
      {keyed.length > 0 && <Named script={script} caption={words.keyed} score={words.words} named={keyed} />}
      {traced.build !== null && <p>{words.read(traced.build, numberOf(traced.read), numberOf(traced.places), numberOf(traced.keys))}</p>}
      {traced.build !== null && named.length === 0 && <p class="quiet">{words.none}</p>}
      {named.length > 0 && <Named script={script} caption={words.table} score={words.score} named={named} />}
    </>
  );
}

function Named({ script, caption, score, named }: { script: ScriptView; caption: string; score: string; named: Traced["suspects"] }) {
  return (
    <>
      <h3>{caption}</h3>
      <Table
        caption={caption}
        rows={named}
        keyOf={(each) => each.user_id}
        columns={[
          {
            label: words.key,
            isLead: true,
            show: (each) => <a class="mono wrap" href={to(`/projects/${script.project_id}/keys/${each.user_id}`)}>{each.user_key ?? each.user_id}</a>,
          },
          { label: score, show: (each) => <span class="number">{each.score.toFixed(1)}</span> },
          { label: words.chance, show: (each) => <span class="number">{each.chance.toPrecision(1)}</span> },
        ]}
      />
    </>
  );
}
