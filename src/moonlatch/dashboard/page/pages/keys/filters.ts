/** What the list of keys is asked for, as the address of the page says it. */
import type { Operations, Whom } from "../../api/types";
import { place } from "../../shell/router";
import { text } from "../../text/en/keys";

type Query = Operations["GET /projects/{project_id}/users"]["query"];
export const SIZE = 50;
const DISCORD_ID = /^(?:<@!?)?[0-9]{15,25}>?$/;
const KEY_PART = /^[A-Za-z0-9_-]{3,64}$/;

export interface Filters {
  words: string;
  where: string;
  state: string;
  order: string;
  from: number;
}

export function filters(): Filters {
  const { query } = place.value;
  return {
    words: query.get("q") ?? "",
    where: query.get("in") ?? "",
    state: query.get("state") ?? "",
    order: query.get("order") ?? "created",
    from: Math.max(0, Number(query.get("from")) || 0),
  };
}

/** Where such words are meant to be looked for, unless somebody says. */
export function guessed(words: string): string {
  if (DISCORD_ID.test(words)) return "discord_id";
  return KEY_PART.test(words) ? "key_starts" : "note_contains";
}

/** The conditions alone, which a bulk call takes too. */
export function conditions(given: Filters): Omit<Whom, "all"> {
  const words = given.words.trim();
  const where = text.places.some(([name]) => name === given.where) ? given.where : guessed(words);
  return {
    ...(words && { [where]: words }),
    ...(given.state && { state: given.state as NonNullable<Whom["state"]> }),
  };
}

export function queryOf(given: Filters): Query {
  const isOrdered = !("key_starts" in conditions(given) || "key_ends" in conditions(given));
  return {
    ...conditions(given),
    ...(isOrdered && { order: given.order.replace("-", "") as "created" | "expires", reverse: given.order.startsWith("-") }),
    from: given.from,
    limit: SIZE,
  };
}
