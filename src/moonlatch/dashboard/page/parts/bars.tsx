/** Bars by day: a picture for the eyes, a table for everybody. Drawn with SVG alone. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { text } from "../text/en/shell";
import { dayOf, numberOf } from "./time";

export interface Day {
  label: string;
  value: number;
  /** What else is to be said of the day. */
  more?: string;
}

/** Counts by `MM/DD`, as the API has them. */
export function daysOf(counts: Record<string, number>): Day[] {
  return Object.entries(counts).map(([label, value]) => {
    const [month = 1, day = 1] = label.split("/").map(Number);
    return { label: dayOf(Date.UTC(2024, month - 1, day)), value };
  });
}

const HEIGHT = 176;
const FOOT = 20;
const EDGE = 34;
/** From the middle of one label to that of the next, and half of the widest, in pixels. */
const APART = 64;
const HALF = 22;

export function Bars({ title, days }: { title: string; days: readonly Day[] }) {
  const box = useRef<HTMLDivElement>(null);
  const width = useSignal(640);
  const told = useSignal("");
  const isTable = useSignal(false);
  useEffect(() => {
    if (!box.current) return;
    const watch = new ResizeObserver(([entry]) => {
      if (entry) width.value = Math.max(200, Math.round(entry.contentRect.width));
    });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const top = roundUp(Math.max(2, ...days.map((day) => day.value)));
  const inner = HEIGHT - FOOT;
  const step = (width.value - EDGE) / Math.max(1, days.length);
  const every = Math.ceil(APART / step);
  // The last ends where the picture does.
  const placed = (middle: number) => (middle + HALF > width.value ? { x: width.value, "text-anchor": "end" as const } : { x: middle, "text-anchor": "middle" as const });
  const say = (day: Day) => `${day.label}: ${numberOf(day.value)}${day.more ? `, ${day.more}` : ""}`;
  return (
    <figure class="chart" ref={box}>
      <svg viewBox={`0 0 ${width.value} ${HEIGHT}`} role="group" aria-label={title} onPointerLeave={() => (told.value = "")}>
        {[0, 0.5, 1].map((part) => {
          const y = Math.round(inner - part * (inner - 8)) + 0.5;
          return (
            <g key={part} aria-hidden="true">
              <line class="rule" x1={EDGE} x2={width.value} y1={y} y2={y} />
              <text x={EDGE - 6} y={y + 4} text-anchor="end">
                {compact(top * part)}
              </text>
            </g>
          );
        })}
        {days.map((day, index) => {
          const x = EDGE + index * step;
          const height = day.value === 0 ? 0 : Math.max(2, (day.value / top) * (inner - 8));
          return (
            <g key={day.label} class="column" role="img" aria-label={say(day)} onPointerEnter={() => (told.value = say(day))}>
              <rect class="bar" x={x + step * 0.15} width={step * 0.7} y={inner - height} height={height} rx={Math.min(3, step * 0.2)} />
              <rect class="hit" x={x} width={step} y={0} height={inner} />
              {(days.length - 1 - index) % every === 0 && (
                <text {...placed(x + step / 2)} y={HEIGHT - 3} aria-hidden="true">
                  {day.label}
                </text>
              )}
            </g>
          );
        })}
      </svg>
      <p class="told" aria-hidden="true">
        {told.value}
      </p>
      <details class="small" onToggle={(event) => (isTable.value = event.currentTarget.open)}>
        <summary class="quiet">{text.common.asTable}</summary>
        {isTable.value && (
          <table class="days">
            <caption class="visually-hidden">{title}</caption>
            <tbody>
              {days.map((day) => (
                <tr key={day.label}>
                  <th scope="row">{day.label}</th>
                  <td class="number">{numberOf(day.value)}</td>
                  {day.more && <td>{day.more}</td>}
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </details>
    </figure>
  );
}

/** The next number that is easy to halve and to read. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8, 10].find((times) => times * power >= value) ?? 10) * power;
}

function compact(value: number): string {
  return value < 1000 ? String(value) : Intl.NumberFormat("en", { notation: "compact" }).format(value);
}
