/** Comma-separated values (RFC 4180), such as a spreadsheet reads and writes. */

/** Spreadsheets run what begins like this as a formula. */
const FORMULA = /^[=+\-@\t\r]/;

export function written(rows: readonly (readonly unknown[])[]): string {
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value: unknown): string {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The rows of a file; empty lines are passed over. Commas, semicolons and tabs part cells, whichever the first line has. */
export function read(source: string): string[][] {
  const text = source.replace(/^\uFEFF/, "");
  const head = text.split(/\r?\n/, 1)[0] ?? "";
  const comma = [",", ";", "\t"].reduce((best, one) => (head.split(one).length > head.split(best).length ? one : best));
  const rows: string[][] = [];
  let row: string[] = [];
  let value = "";
  let isQuoted = false;
  const endRow = () => {
    row.push(value);
    if (row.some((each) => each.trim() !== "")) rows.push(row);
    row = [];
    value = "";
  };
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (isQuoted) {
      if (character !== '"') value += character;
      else if (text[index + 1] === '"') value += text[++index];
      else isQuoted = false;
    } else if (character === '"' && value === "") isQuoted = true;
    else if (character === comma) {
      row.push(value);
      value = "";
    } else if (character === "\n") endRow();
    else if (character !== "\r") value += character;
  }
  if (value !== "" || row.length > 0) endRow();
  // What was written by `written` to be safe in a spreadsheet comes back as it was.
  return rows.map((cells) => cells.map((each) => (each.startsWith("'") && FORMULA.test(each.slice(1)) ? each.slice(1) : each)));
}
