/** A step of a checkpoint: added, changed, removed, and what its provider has to know. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import type { AdStepView, ProviderFieldView, ProvidersReply } from "../../api/types";
import { Copyable } from "../../parts/copy";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Choice, type Entered, Form, TextField, Tick } from "../../parts/form";
import { Shown } from "../../parts/status";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/checkpoints";
import { text as shell } from "../../text/en/shell";

type Providers = ProvidersReply["providers"];

interface Told {
  callback: string | null;
  postback: string | null;
  signing_secret: string | null;
}

function useProviders() {
  return useLoaded("ad providers", async (signal) => (await call("GET /ads/providers", {}, { signal })).providers);
}

export function NewStep({ system, numbers, onClose, reload }: { system: string; numbers: readonly number[]; onClose: () => void; reload: () => Promise<void> }) {
  const loaded = useProviders();
  const provider = useSignal("linkvertise");
  const told = useSignal<Told | null>(null);
  if (told.value) return <Secrets told={told.value} onClose={onClose} />;
  const options = numbers.map((number): [string, string] => [`${number}`, text.another(number)]);
  return (
    <Dialog title={text.addStep} onClose={onClose}>
      <Shown loaded={loaded}>
        {(providers) => (
          <Form
            submit={text.addStep}
            onCancel={onClose}
            run={async (entered) => {
              const body = {
                provider: provider.value as "custom",
                settings: settingsEntered(entered, providers[provider.value] ?? []),
                number: entered.number("number"),
                minimum_seconds: entered.number("minimum_seconds") as number,
              };
              const made = await call("POST /ads/systems/{system_id}/steps", { system_id: system }, { body });
              told.value = { ...made, callback: made.step.callback };
              await reload();
            }}
          >
            <Choice
              name="provider"
              label={text.provider}
              options={Object.keys(providers).map((name): [string, string] => [name, text.providers[name] ?? name])}
              defaultValue={provider.value}
              onChange={(event) => (provider.value = event.currentTarget.value)}
            />
            <ProviderFields key={provider.value} fields={providers[provider.value] ?? []} />
            <Choice name="number" label={text.which} hint={text.whichHint} options={[["", text.newStep], ...options]} />
            <TextField name="minimum_seconds" label={text.minimum} hint={text.minimumHint} inputMode="numeric" defaultValue="10" required />
          </Form>
        )}
      </Shown>
    </Dialog>
  );
}

export function EditStep({ step, onClose, reload }: { step: AdStepView; onClose: () => void; reload: () => Promise<void> }) {
  const loaded = useProviders();
  const told = useSignal<Told | null>(null);
  const isRemoving = useSignal(false);
  const at = { step_id: step.id };
  if (told.value) return <Secrets told={told.value} onClose={onClose} />;
  async function show() {
    const found = await call("GET /ads/steps/{step_id}/secrets", at);
    told.value = { ...found, callback: found.step.callback };
  }
  async function remove() {
    await call("POST /ads/steps/{step_id}/remove", at);
    tell(text.stepRemoved);
    await reload();
    onClose();
  }
  const title = `${text.editStep(step.number)}: ${text.providers[step.provider] ?? step.provider}`;
  return (
    <Dialog title={title} onClose={onClose}>
      <Shown loaded={loaded}>
        {(providers: Providers) => (
          <Form
            submit={shell.common.save}
            onCancel={onClose}
            run={async (entered) => {
              const body = {
                settings: settingsEntered(entered, providers[step.provider] ?? []),
                minimum_seconds: entered.number("minimum_seconds"),
                enabled: entered.flag("enabled"),
              };
              await call("POST /ads/steps/{step_id}/edit", at, { body });
              await reload();
              onClose();
            }}
          >
            <ProviderFields fields={providers[step.provider] ?? []} step={step} />
            <TextField name="minimum_seconds" label={text.minimum} hint={text.minimumHint} inputMode="numeric" defaultValue={`${step.minimum_seconds}`} required />
            <Tick name="enabled" label={text.isOn} defaultChecked={step.enabled} />
            <div class="row">
              <button type="button" onClick={() => void show().catch(tellFailure)}>
                {text.showSecrets}
              </button>
              <button type="button" class="danger" onClick={() => (isRemoving.value = true)}>
                {text.removeStep}
              </button>
            </div>
          </Form>
        )}
      </Shown>
      {isRemoving.value && (
        <Confirm title={text.removeStepTitle(title)} submit={text.removeStep} onClose={() => (isRemoving.value = false)} run={remove}>
          <p>{text.removeStepMore}</p>
        </Confirm>
      )}
    </Dialog>
  );
}

function ProviderFields({ fields, step }: { fields: readonly ProviderFieldView[]; step?: AdStepView }) {
  return (
    <>
      {fields
        .filter((field) => field.type !== "info")
        .map((field) => (
          <TextField
            key={field.id}
            name={`settings.${field.id}`}
            label={field.name}
            hint={field.info}
            defaultValue={step?.settings[field.id]}
            placeholder={step?.secrets.includes(field.id) ? text.secretKept : undefined}
            maxLength={1600}
            required={field.needed && !step?.secrets.includes(field.id)}
          />
        ))}
    </>
  );
}

/** What was entered; a secret that was left empty stays as it is. */
function settingsEntered(entered: Entered, fields: readonly ProviderFieldView[]): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const field of fields) {
    const value = entered.text(`settings.${field.id}`);
    if (field.type !== "info" && (value || !field.secret)) settings[field.id] = value;
  }
  return settings;
}

function Secrets({ told, onClose }: { told: Told; onClose: () => void }) {
  const shown: [string, string | null][] = [
    [text.callback, told.callback],
    [text.postback, told.postback],
    [text.signingSecret, told.signing_secret],
  ];
  const some = shown.filter((each): each is [string, string] => each[1] !== null);
  return (
    <Dialog title={text.secrets} onClose={onClose}>
      <p class="quiet">{some.length === 0 ? text.nothingToEnter : text.secretsMore}</p>
      {some.map(([label, value]) => (
        <div class="field" key={label}>
          <span class="label">{label}</span>
          <Copyable value={value} label={label} isWrapped />
        </div>
      ))}
      <div class="row end">
        <button type="button" class="primary" onClick={onClose}>
          {text.done}
        </button>
      </div>
    </Dialog>
  );
}
