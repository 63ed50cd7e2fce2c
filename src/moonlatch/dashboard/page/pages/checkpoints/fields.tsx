/** What is set of a checkpoint: the same fields for a new one and for its settings. */
import type { AdSystemView } from "../../api/types";
import { type Entered, TextField, Tick } from "../../parts/form";
import { text } from "../../text/en/checkpoints";

const HOUR = 3_600_000;

/** Whole hours where they are; what is no number stays as it is, for the API to refuse. */
const hoursOf = (milliseconds: number) => Math.round((milliseconds / HOUR) * 100) / 100;

export function hours(milliseconds: number): string {
  return text.hours(hoursOf(milliseconds));
}

export function SystemFields({ system }: { system?: AdSystemView }) {
  const number = (name: keyof AdSystemView & string, label: string, value: number) => (
    <TextField name={name} label={label} inputMode="decimal" defaultValue={`${value}`} required />
  );
  return (
    <>
      <TextField name="name" label={text.name} hint={text.nameHint} defaultValue={system?.name} maxLength={100} required autoFocus={system === undefined} />
      <div class="fields two">
        {number("key_duration", text.keyDuration, hoursOf(system?.key_duration ?? 24 * HOUR))}
        {number("max_keys", text.maxKeys, system?.max_keys ?? 1)}
        {number("network_daily_keys", text.networkDaily, system?.network_daily_keys ?? 20)}
        {number("device_daily_keys", text.deviceDaily, system?.device_daily_keys ?? 3)}
      </div>
      <Tick name="allow_extending" label={text.extending} defaultChecked={system?.allow_extending ?? true} />
      {number("max_duration", text.maxDuration, hoursOf(system?.max_duration ?? 168 * HOUR))}
    </>
  );
}

export function systemEntered(entered: Entered) {
  const milliseconds = (name: string) => {
    const value = entered.number(name);
    return typeof value === "number" ? Math.round(value * HOUR) : (value as unknown as number);
  };
  return {
    name: entered.text("name"),
    key_duration: milliseconds("key_duration"),
    max_keys: entered.number("max_keys") as number,
    network_daily_keys: entered.number("network_daily_keys") as number,
    device_daily_keys: entered.number("device_daily_keys") as number,
    allow_extending: entered.flag("allow_extending"),
    max_duration: milliseconds("max_duration"),
  };
}
