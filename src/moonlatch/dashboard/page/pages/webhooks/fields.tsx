/** What a webhook hears of: the same fields for a new one and for its settings. */
import { useSignal } from "@preact/signals";
import { Choice, type Entered, Tick } from "../../parts/form";
import { text as events } from "../../text/en/events";
import { text } from "../../text/en/webhooks";

/** Kinds of events that belong to a project. */
const OF_PROJECT = /^(project|script|user|instance|session|endpoint|ad_system|ad_step)\./;

interface Props {
  /** The kinds that it gets; null: all of them. */
  kinds: readonly string[] | null;
  executions: string;
}

export function HeardFields({ kinds, executions }: Props) {
  const isAll = useSignal(kinds === null);
  return (
    <>
      <fieldset class="fields tight">
        <legend>{text.events}</legend>
        <label class="tick">
          <input type="radio" name="which" value="all" checked={isAll.value} onChange={() => (isAll.value = true)} />
          <span>{text.everything}</span>
        </label>
        <label class="tick">
          <input type="radio" name="which" value="some" checked={!isAll.value} onChange={() => (isAll.value = false)} />
          <span>{text.some}</span>
        </label>
        {!isAll.value && (
          <div class="fields two tight">
            {Object.entries(events.kinds)
              .filter(([kind]) => OF_PROJECT.test(kind))
              .map(([kind, words]) => (
                <Tick key={kind} name="events" value={kind} label={words} defaultChecked={kinds?.includes(kind) ?? false} />
              ))}
          </div>
        )}
      </fieldset>
      <Choice name="executions" label={text.executions} options={text.executionsNames} defaultValue={executions} />
    </>
  );
}

/** The kinds that were ticked; null for all. */
export function kindsEntered(entered: Entered): string[] | null {
  return entered.text("which") === "some" ? entered.all("events") : null;
}
