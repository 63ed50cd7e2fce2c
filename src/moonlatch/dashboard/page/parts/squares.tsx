/** Pictures of devices, networks and programs: coloured squares, drawn by us, because not every system has them as letters. */
import { text } from "../text/en/shell";

const COLOURS: Record<string, keyof typeof text.colours> = { "🟥": "red", "🟧": "orange", "🟨": "yellow", "🟩": "green", "🟦": "blue", "🟪": "purple", "🟫": "brown", "⬛": "black", "⬜": "white" };

const SIZE = 12;
const STEP = 14;

/** As the background of one element: a key's page shows a thousand of them, and each as an element of its own took half of its layout. */
function drawn(names: readonly string[]): { width: string; background: string } {
  const fills = names.map((name, place) => `linear-gradient(var(--${name}) 0 0) ${place * STEP + 1}px 1px / ${SIZE - 2}px ${SIZE - 2}px no-repeat`);
  return { width: `${names.length * STEP - 2}px`, background: [...fills, `repeating-linear-gradient(90deg, var(--edge) 0 ${SIZE}px, transparent ${SIZE}px ${STEP}px)`].join() };
}

/** One line for each line of the text; what is no square stands beside them as it is. */
export function Squares({ of }: { of: string }) {
  return (
    <span class="squares">
      {of.split("\n").map((line, index) => {
        const letters = [...line];
        const rest = letters.findIndex((letter) => !(letter in COLOURS));
        const names = letters.slice(0, rest < 0 ? letters.length : rest).map((letter) => COLOURS[letter] ?? "black");
        return (
          <span key={index} class="line">
            <span role="img" aria-label={names.map((name) => text.colours[name]).join(", ")} style={drawn(names)} />
            {rest >= 0 && letters.slice(rest).join("").replace("->", "")}
          </span>
        );
      })}
    </span>
  );
}
