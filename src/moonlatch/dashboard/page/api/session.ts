/** Who is signed in, and how the page proves it. A token is kept for this tab alone and ends with it. */
import { computed, signal } from "@preact/signals";
import type { Permission } from "./types";

const TOKEN_NAME = "moonlatch.token";

export interface Me {
  kind: "member" | "token";
  name: string;
  accountName: string;
  permissions: ReadonlySet<Permission> | null;
  /** Goes with each change that is made by the cookie. */
  csrf: string | null;
}

const token = signal<string | null>(sessionStorage.getItem(TOKEN_NAME));

/** undefined: not known yet; null: nobody. */
export const me = signal<Me | null | undefined>(undefined);
export const isSignedIn = computed(() => me.value != null);

/** Headers that prove who calls. */
export function credentials(isChange: boolean): Record<string, string> {
  if (token.value !== null) return { authorization: `Bearer ${token.value}` };
  const csrf = me.value?.csrf;
  return isChange && csrf ? { "x-csrf-token": csrf } : {};
}

export function hasToken(): boolean {
  return token.value !== null;
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
  const known = me.value?.permissions;
  return known == null || known.has(permission);
}
