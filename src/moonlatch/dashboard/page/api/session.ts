/** Who is signed in, and how the page proves it: by the cookie, which no script can read, or by a token that ends with this tab. */
import { computed, signal } from "@preact/signals";
import type { MeView, Permission } from "./types";

const TOKEN_NAME = "moonlatch.token";

const token = signal<string | null>(sessionStorage.getItem(TOKEN_NAME));

/** undefined: not known yet; null: nobody. */
export const me = signal<MeView | null | undefined>(undefined);
const permissions = computed(() => new Set(me.value?.permissions));

/** Headers that prove who calls. */
export function credentials(isChange: boolean): Record<string, string> {
  if (token.value !== null) return { authorization: `Bearer ${token.value}` };
  const csrf = me.value?.csrf;
  return isChange && csrf ? { "x-csrf-token": csrf } : {};
}

export function keepToken(text: string): void {
  token.value = text;
  sessionStorage.setItem(TOKEN_NAME, text);
}

/** Forget who it was; the place where they were stays, so that they come back to it. */
export function signedOut(): void {
  token.value = null;
  sessionStorage.removeItem(TOKEN_NAME);
  me.value = null;
}

/** Whether what needs this permission is offered. Whether it is allowed, the API says. */
export function may(permission: Permission): boolean {
  return permissions.value.has(permission);
}
