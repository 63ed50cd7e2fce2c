/** What keys are like, for lists and for the page of one. */
import type { UserView } from "../api/types";

export type State = "active" | "unused" | "expired" | "blacklisted" | "held";

export function stateOf(user: UserView, now: number): State {
  if (user.blacklisted) return "blacklisted";
  if (user.held_by !== null) return "held";
  if (user.key_expires !== null && user.key_expires <= now) return "expired";
  return user.executions === 0 ? "unused" : "active";
}

export const BADGES: Record<State, string> = { active: "badge good", unused: "badge accent", expired: "badge warn", blacklisted: "badge bad", held: "badge warn" };
