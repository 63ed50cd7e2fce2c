/** Where in the page somebody is. Behind the `#`, which browsers send to nobody: what is searched for never reaches a log. */
import { computed, signal } from "@preact/signals";

export interface Place {
  path: string;
  query: URLSearchParams;
}

function read(): Place {
  const [path = "", query = ""] = location.hash.slice(1).split("?", 2);
  return { path: path || "/", query: new URLSearchParams(query) };
}

export const place = signal<Place>(read());
export const path = computed(() => place.value.path);

addEventListener("hashchange", () => {
  place.value = read();
});

/** The address of a place, for links. Empty parts of the query are left out. */
export function to(path: string, query: Record<string, string | undefined> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const text = new URLSearchParams(given).toString();
  return `#${path}${text && `?${text}`}`;
}

export function go(address: string): void {
  location.hash = address;
}

/** Go there without a step to come back to, as for each letter of a search. */
export function replace(address: string): void {
  history.replaceState(null, "", address);
  place.value = read();
}

/** Change parts of the query where one is: by the address, which somebody may have changed since the page was last told. */
export function refine(changes: Record<string, string | undefined>): void {
  const { path, query } = read();
  replace(to(path, { ...Object.fromEntries(query), ...changes }));
}

/** The named parts of a path, where it is of the pattern's form: `/keys/:key`. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  const found: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (part.startsWith(":")) {
      if (!value) return null;
      try {
        found[part.slice(1)] = decodeURIComponent(value);
      } catch {
        return null;
      }
    } else if (part !== value) return null;
  }
  return found;
}
