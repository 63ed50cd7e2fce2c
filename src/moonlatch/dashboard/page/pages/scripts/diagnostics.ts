/** What the server says of a source text, by line. */
export interface Fault {
  /** From 1; null where the text as a whole is meant. */
  line: number | null;
  message: string;
  isWarning: boolean;
}

const FAULT = /^script:(\d+): (.*)$/;
const WARNING_LINE = /\bline (\d+)\b/;

/** The lines of `parser_output`, as Luau writes them. */
export function faultsOf(output: string): Fault[] {
  return output
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const found = FAULT.exec(line);
      return { line: found ? Number(found[1]) : null, message: found?.[2] ?? line, isWarning: false };
    });
}

export function warningsOf(warnings: readonly string[]): Fault[] {
  return warnings.map((message) => {
    const found = WARNING_LINE.exec(message) ?? FAULT.exec(message);
    return { line: found ? Number(found[1]) : null, message, isWarning: true };
  });
}
