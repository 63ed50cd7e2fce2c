/** The steps of a rollout, as people write and read them. */
import type { StepFields } from "../../api/types";
import { FieldError } from "../../parts/form";
import { text } from "../../text/en/releases";

export const STEP_MINUTES = 60;
export const USUAL_STEPS = "5, 25, 100";
const WHOLE = 10_000;

/** `5, 25, 100` as steps of so many minutes each. Raises FieldError. */
export function stepsOf(typed: string, minutes = STEP_MINUTES): StepFields[] {
  let before = 0;
  return typed.split(",").map((part) => {
    const basis_points = Math.round(Number(part.replace("%", "")) * 100);
    if (part.trim() === "" || !(basis_points > before && basis_points <= WHOLE)) throw new FieldError("steps", text.rollout.badSteps);
    before = basis_points;
    return { basis_points, minutes };
  });
}

export function percent(basisPoints: number): string {
  return `${basisPoints / 100} %`;
}
