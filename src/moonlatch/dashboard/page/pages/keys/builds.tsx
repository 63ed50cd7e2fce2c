/** Which builds of the project's scripts one key is given in place of the current ones. */
import { useSignal } from "@preact/signals";
import { call, type ReplyOf } from "../../api/client";
import { type Question, useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { PinView, UserView } from "../../api/types";
import { ScriptName, useScripts } from "../../data/scripts";
import { Dialog } from "../../parts/dialog";
import { Choice, Form, localTime, TextField } from "../../parts/form";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { moment } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/keys";
import { Licence } from "./licence";

const words = text.page.builds;

export function keyPinsOf(id: string): Question<ReplyOf<"GET /users/{key}/pins">> {
  return [`key pins ${id}`, (signal) => call("GET /users/{key}/pins", { key: id }, { signal })];
}

export function KeyBuilds({ user }: { user: UserView }) {
  const loaded = useLoaded(...keyPinsOf(user.id));
  /** Which is changed; null: one for a script that has none. */
  const changing = useSignal<{ pin: PinView | null } | null>(null);
  const scripts = useScripts(user.project_id);
  const nameOf = (id: string) => scripts.data.value?.find((script) => script.id === id)?.name ?? id;
  const isLicensing = useSignal(false);
  const mayChange = may("keys:write") && may("scripts:read");
  async function clear(pin: PinView) {
    await call("POST /users/{key}/pin", { key: user.id }, { body: { script: pin.script_id, channel: "", build: "" } });
    tell(words.saved);
    await loaded.reload();
  }
  const choose = mayChange && (
    <button type="button" onClick={() => (changing.value = { pin: null })}>
      {words.choose}
    </button>
  );
  return (
    <Shown loaded={loaded}>
      {({ pins, role_channels }) => (
        <>
          {role_channels.length > 0 && <p class="small quiet">{words.byRoles(role_channels)}</p>}
          {pins.length === 0 ? (
            <Empty title={words.none}>
              <p>{words.noneMore}</p>
              {choose}
            </Empty>
          ) : (
            <>
              <div class="row end">{choose}</div>
              <Table
                caption={words.title}
                rows={pins}
                keyOf={(pin) => pin.script_id}
                columns={[
                  { label: words.script, isLead: true, show: (pin) => <ScriptName scripts={scripts.data.value} project={user.project_id} id={pin.script_id} /> },
                  { label: words.channel, show: (pin) => pin.channel && <span class="wrap">{pin.channel}</span> },
                  { label: words.build, show: (pin) => pin.build !== null && <span class="number">{pin.build}</span> },
                  { label: words.until, show: (pin) => pin.build !== null && (pin.expires === null ? words.forGood : moment(pin.expires)) },
                  {
                    label: words.change,
                    isAction: true,
                    show: (pin) =>
                      mayChange && (
                        <span class="row end nowrap">
                          <button type="button" class="small" aria-label={words.changeOf(nameOf(pin.script_id))} onClick={() => (changing.value = { pin })}>
                            {words.change}
                          </button>
                          <button type="button" class="small" aria-label={words.clearOf(nameOf(pin.script_id))} onClick={() => void clear(pin).catch(tellFailure)}>
                            {words.clear}
                          </button>
                        </span>
                      ),
                  },
                ]}
              />
            </>
          )}
          {mayChange && !user.fingerprintless && (
            <div class="row between">
              <p class="small quiet grow">{text.page.licence.more}</p>
              <button type="button" onClick={() => (isLicensing.value = true)}>
                {text.page.licence.button}
              </button>
            </div>
          )}
          {isLicensing.value && <Licence user={user} onClose={() => (isLicensing.value = false)} />}
          {changing.value && <Change user={user} pin={changing.value.pin} onClose={() => (changing.value = null)} onDone={() => void loaded.reload()} />}
        </>
      )}
    </Shown>
  );
}

function Change({ user, pin, onClose, onDone }: { user: UserView; pin: PinView | null; onClose: () => void; onDone: () => void }) {
  const scripts = useScripts(user.project_id);
  return (
    <Dialog title={words.title} onClose={onClose}>
      <Shown loaded={scripts}>
        {(all) => {
          const published = all.filter((script) => script.enabled || script.id === pin?.script_id);
          const [first] = published;
          if (!first) return <p>{words.noScripts}</p>;
          return <ChangeForm user={user} pin={pin} scripts={published.map(({ id, name }) => [id, name])} first={pin?.script_id ?? first.id} onClose={onClose} onDone={onDone} />;
        }}
      </Shown>
    </Dialog>
  );
}

interface FormProps {
  user: UserView;
  pin: PinView | null;
  scripts: [id: string, name: string][];
  first: string;
  onClose: () => void;
  onDone: () => void;
}

function ChangeForm({ user, pin, scripts, first, onClose, onDone }: FormProps) {
  const script = useSignal(first);
  const build = useSignal(pin?.build == null ? "" : String(pin.build));
  const at = { script_id: script.value };
  const offered = useLoaded(`key choices ${script.value}`, async (signal) => {
    const [{ builds }, { channels }] = await Promise.all([call("GET /scripts/{script_id}/builds", at, { signal }), call("GET /scripts/{script_id}/channels", at, { signal })]);
    return { builds: builds.filter((each) => each.yanked_at === null), channels };
  });
  return (
    <Form
      submit={words.save}
      onCancel={onClose}
      run={async (entered) => {
        const pinned = entered.number("build");
        await call("POST /users/{key}/pin", { key: user.id }, { body: { script: script.value, channel: entered.text("channel"), build: pinned ?? "", ...(pinned !== null && { expires: entered.moment("expires") }) } });
        tell(words.saved);
        onClose();
        onDone();
      }}
    >
      {pin === null && <Choice name="script" label={words.script} options={scripts} value={script.value} onChange={(event) => (script.value = event.currentTarget.value)} />}
      <Shown loaded={offered}>
        {({ builds, channels }) => (
          <>
            <Choice name="channel" label={words.channel} options={[["", words.noChannel], ...channels.map(({ name, build: served }): [string, string] => [name, `${name} · ${served}`])]} defaultValue={pin?.channel ?? ""} />
            <Choice
              name="build"
              label={words.build}
              options={[["", words.noBuild], ...builds.map((each): [string, string] => [String(each.number), [each.number, each.label].filter(Boolean).join(" · ")])]}
              value={build.value}
              onChange={(event) => (build.value = event.currentTarget.value)}
            />
            {build.value !== "" && <TextField name="expires" label={words.until} hint={words.untilHint} type="datetime-local" defaultValue={localTime(pin?.expires)} />}
          </>
        )}
      </Shown>
    </Form>
  );
}
