/** Which builds a script serves besides its current one: those of its channels. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { readAnewOnConflict } from "../../api/errors";
import { type Question, useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { BuildView, ChannelView, ScriptView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Choice, Form, TextField } from "../../parts/form";
import { Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/scripts";
import { choicesOf } from "./build_actions";

const words = text.channels;
export const STABLE = "stable";

interface Props {
  script: ScriptView;
  etag: string | null;
  /** Another one when it is to be asked again. */
  version: string;
  builds: readonly BuildView[];
  reload: () => Promise<void>;
}

interface Doing {
  what: "set" | "remove";
  /** null: a new one. */
  channel: ChannelView | null;
  etag: string | null;
}

export function channelsOf(script: string): Question<ChannelView[]> {
  return [`channels ${script}`, async (signal) => (await call("GET /scripts/{script_id}/channels", { script_id: script }, { signal })).channels];
}

export function Channels({ script, etag, version, builds, reload }: Props) {
  const at = { script_id: script.id };
  const loaded = useLoaded(...channelsOf(script.id), version);
  const doing = useSignal<Doing | null>(null);
  const close = () => (doing.value = null);
  async function done(said: string) {
    tell(said);
    close();
    await reload();
  }
  const mayPublish = may("scripts:publish");
  const labelOf = (number: number) => builds.find((build) => build.number === number)?.label;
  const { what, channel = null, etag: seen = null } = doing.value ?? {};
  return (
    <>
      <div class="row between">
        <div class="grow">
          <h2>{words.title}</h2>
          <p class="small quiet">{words.more}</p>
        </div>
        {mayPublish && (
          <button type="button" onClick={() => (doing.value = { what: "set", channel: null, etag })}>
            {words.add}
          </button>
        )}
      </div>
      <Shown loaded={loaded}>
        {(channels) => (
          <Table
            caption={words.title}
            rows={channels}
            keyOf={(each) => each.name}
            columns={[
              { label: words.name, isLead: true, show: (each) => <strong class="wrap">{each.name}</strong> },
              { label: words.build, show: (each) => <span class="clip short">{[each.build, labelOf(each.build)].filter(Boolean).join(" · ")}</span> },
              { label: words.whom, show: (each) => <span class="quiet">{each.name === STABLE ? words.everybodyElse : words.itsKeys}</span> },
              {
                label: words.set,
                isAction: true,
                show: (each) =>
                  mayPublish &&
                  each.name !== STABLE && (
                    <span class="row end nowrap">
                      <button type="button" class="small" aria-label={words.setNamed(each.name)} onClick={() => (doing.value = { what: "set", channel: each, etag })}>
                        {words.set}
                      </button>
                      <button type="button" class="small danger" aria-label={words.removeNamed(each.name)} onClick={() => (doing.value = { what: "remove", channel: each, etag })}>
                        {words.remove}
                      </button>
                    </span>
                  ),
              },
            ]}
          />
        )}
      </Shown>
      {what === "set" && (
        <Dialog title={channel === null ? words.add : words.setNamed(channel.name)} onClose={close}>
          <Form
            submit={channel === null ? words.add : words.set}
            onCancel={close}
            run={async (entered) => {
              const name = channel?.name ?? entered.text("name");
              await readAnewOnConflict(reload, () => call("POST /scripts/{script_id}/channels", at, { body: { name, build: entered.number("build") as number }, etag: seen }));
              await done(words.isSet(name, entered.text("build")));
            }}
          >
            {channel === null && <TextField name="name" label={words.name} hint={words.nameHint} maxLength={32} autoFocus />}
            <Choice name="build" label={words.build} options={choicesOf(builds)} defaultValue={channel === null ? undefined : String(channel.build)} />
          </Form>
        </Dialog>
      )}
      {what === "remove" && channel !== null && (
        <Confirm
          title={words.removeNamed(channel.name)}
          submit={words.remove}
          onClose={close}
          run={async () => {
            await readAnewOnConflict(reload, () => call("POST /scripts/{script_id}/channels/{name}/remove", { ...at, name: channel.name }, { etag: seen }));
            await done(words.removed(channel.name));
          }}
        >
          <p>{words.removeMore}</p>
        </Confirm>
      )}
    </>
  );
}
