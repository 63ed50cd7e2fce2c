/** Moments and spans in words. What is shown grows old by itself. */
import { signal } from "@preact/signals";
import { text } from "../text/en/shell";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * DAY],
  ["month", 30 * DAY],
  ["day", DAY],
  ["hour", HOUR],
  ["minute", MINUTE],
  ["second", SECOND],
];
const LANGUAGE = "en";
const relative = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "always" });
const whole = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "medium" });
const short = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "short" });
const days = new Intl.DateTimeFormat(LANGUAGE, { month: "short", day: "numeric", timeZone: "UTC" });
const numbers = new Intl.NumberFormat(LANGUAGE);

/** Unix milliseconds, to about half a minute. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 30 * SECOND);

export function ago(at: number): string {
  // What has just happened is not in the future of a clock that is looked at twice a minute.
  const distance = at - Math.max(now.value, Date.now());
  for (const [unit, length] of UNITS) {
    const many = Math.trunc(distance / length);
    if (many !== 0 && (unit !== "second" || Math.abs(many) >= 10)) return relative.format(many, unit);
  }
  return text.time.now;
}

export function moment(at: number): string {
  return short.format(at);
}

/** The day (UTC) of a moment. */
export function dayOf(at: number): string {
  return days.format(at);
}

export function numberOf(value: number): string {
  return numbers.format(value);
}

/** How long something takes, in its two largest units. */
export function span(milliseconds: number): string {
  const parts: string[] = [];
  let rest = Math.max(0, milliseconds);
  for (const [unit, length] of UNITS.slice(2)) {
    const many = Math.floor(rest / length);
    rest -= many * length;
    if (many > 0) parts.push(`${many} ${unit}${many === 1 ? "" : "s"}`);
    if (parts.length === 2) break;
  }
  return parts.join(" ") || `0 seconds`;
}

export function bytesOf(many: number): string {
  if (many < 1024) return `${many} B`;
  const [value, unit] = many < 1024 * 1024 ? [many / 1024, "KiB"] : [many / 1024 / 1024, "MiB"];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** A moment as how long ago it was; the whole of it where somebody points. */
export function Time({ at }: { at: number | null | undefined }) {
  if (at == null) return <span class="quiet">{text.time.never}</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={whole.format(at)}>
      {ago(at)}
    </time>
  );
}
