/** Light or dark: as the system, or as somebody chose. */
import { signal } from "@preact/signals";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];
const NAME = "moonlatch.theme";

function kept(): Theme {
  const found = localStorage.getItem(NAME);
  return THEMES.find((theme) => theme === found) ?? "system";
}

export const theme = signal<Theme>(kept());

export function choose(chosen: Theme): void {
  theme.value = chosen;
  localStorage.setItem(NAME, chosen);
  show();
}

export function show(): void {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
}
