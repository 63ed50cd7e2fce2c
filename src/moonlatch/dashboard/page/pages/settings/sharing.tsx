/** The rules about shared keys: fields of a project's settings, and what was entered in them. */
import type { EditProject, ProjectView } from "../../api/types";
import { Choice, type Entered, TextField } from "../../parts/form";
import { text } from "../../text/en/sharing";

type Sharing = ProjectView["sharing"];
type Rule = Exclude<keyof Sharing, "hold_hours">;

function rulesOf(sharing: Sharing): Rule[] {
  return (Object.keys(sharing) as (keyof Sharing)[]).filter((name): name is Rule => name !== "hold_hours");
}

export function SharingFields({ sharing }: { sharing: Sharing }) {
  return (
    <>
      <h2>{text.title}</h2>
      <p class="small quiet">{text.more}</p>
      {rulesOf(sharing).map((rule) => {
        const label = text.rules[rule]?.[1] ?? rule;
        const { limit, action } = sharing[rule];
        return (
          <div key={rule} class="fields two">
            <TextField name={`sharing.${rule}.limit`} label={label} inputMode="numeric" defaultValue={limit === null ? "" : String(limit)} />
            <Choice name={`sharing.${rule}.action`} about={label} label={text.action} options={text.actions} defaultValue={action} />
          </div>
        );
      })}
      <TextField name="sharing.hold_hours" label={text.hours} hint={text.hoursHint} inputMode="numeric" defaultValue={sharing.hold_hours === null ? "" : String(sharing.hold_hours)} />
    </>
  );
}

/** What the fields say; an empty limit is none. */
export function sharingEntered(entered: Entered, sharing: Sharing): NonNullable<EditProject["sharing"]> {
  const rules = rulesOf(sharing).map((rule) => [rule, { limit: entered.number(`sharing.${rule}.limit`) ?? "", action: entered.text(`sharing.${rule}.action`) }]);
  return { ...Object.fromEntries(rules), hold_hours: entered.number("sharing.hold_hours") ?? "" };
}
