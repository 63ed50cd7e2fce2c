/** Pictures of devices, networks and programs: coloured squares, drawn by us, because not every system has them as letters. */
import { text } from "../text/en/shell";

const COLOURS: Record<string, keyof typeof text.colours> = { "🟥": "red", "🟧": "orange", "🟨": "yellow", "🟩": "green", "🟦": "blue", "🟪": "purple", "🟫": "brown", "⬛": "black", "⬜": "white" };

/** One line for each line of the text; what is no square stands beside them as it is. */
export function Squares({ of }: { of: string }) {
  return (
    <span class="squares">
      {of.split("\n").map((line, index) => {
        const letters = [...line];
        const rest = letters.findIndex((letter) => !(letter in COLOURS));
        const squares = rest < 0 ? letters : letters.slice(0, rest);
        return (
          <span key={index} class="line">
            <span role="img" aria-label={squares.map((square) => text.colours[COLOURS[square] ?? "black"]).join(", ")}>
              {squares.map((square, place) => (
                <span key={place} class={`square ${COLOURS[square]}`} />
              ))}
            </span>
            {rest >= 0 && letters.slice(rest).join("").replace("->", "")}
          </span>
        );
      })}
    </span>
  );
}
