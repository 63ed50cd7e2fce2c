/** Luau for the editor: enough of its lexer to colour a text, line by line. */
import { type StreamParser } from "@codemirror/language";

const KEYWORDS = new Set("and break do else elseif end false for function if in local nil not or repeat return then true until while".split(" "));
/** Words only where they are not names. */
const CONTEXTUAL = new Set(["continue", "export", "type", "typeof"]);
const ATOMS = new Set(["true", "false", "nil"]);
const GLOBALS = new Set(["la_exists", "la_is_premium", "la_executions", "la_discord_id", "la_user_note", "la_script_name", "la_script_build", "la_seconds_left", "la_supports_sessions", "la_handle", "la_var", "la_webhook", "la_call", "la_report", "self"]);

interface State {
  /** Of a long bracket that is open: how many `=` it has; -1 where none is. */
  level: number;
  isComment: boolean;
  /** Quote of a string that goes on; "" where none does. */
  quote: string;
  /** Open braces of each `{...}` within a string of backticks. */
  braces: number[];
  previous: string;
}

export const luau: StreamParser<State> = {
  name: "luau",
  languageData: { commentTokens: { line: "--", block: { open: "--[[", close: "]]" } }, closeBrackets: { brackets: ["(", "[", "{", '"', "'", "`"] } },
  startState: () => ({ level: -1, isComment: false, quote: "", braces: [], previous: "" }),
  copyState: (state) => ({ ...state, braces: [...state.braces] }),
  token(stream, state) {
    if (state.level >= 0) return longBracket(stream, state);
    if (state.quote) return quoted(stream, state);
    if (stream.eatSpace()) return null;
    const long = stream.match(/^(--)?\[(=*)\[/) as RegExpMatchArray | null;
    if (long) {
      state.level = long[2]?.length ?? 0;
      state.isComment = long[1] === "--";
      return longBracket(stream, state);
    }
    if (stream.match("--")) {
      stream.skipToEnd();
      return "comment";
    }
    if (stream.match(/^(0[xX][0-9a-fA-F_]+|0[bB][01_]+|(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][+-]?[\d_]+)?)/)) return said(state, "number", "number");
    const quote = stream.match(/^["'`]/) as RegExpMatchArray | null;
    if (quote) {
      state.quote = quote[0];
      return quoted(stream, state);
    }
    const word = stream.match(/^[A-Za-z_]\w*/) as RegExpMatchArray | null;
    if (word) return said(state, wordStyle(word[0], state.previous, stream.peek() ?? ""), word[0]);
    if (stream.match(/^@[A-Za-z_]\w*/)) return said(state, "meta", "@");
    const open = state.braces.length - 1;
    const character = stream.next() ?? "";
    if (open >= 0 && character === "{") state.braces[open] = (state.braces[open] ?? 0) + 1;
    if (open >= 0 && character === "}") {
      if (state.braces[open] === 0) {
        state.braces.pop();
        state.quote = "`";
        return "string";
      }
      state.braces[open] = (state.braces[open] ?? 0) - 1;
    }
    return said(state, /[-+*/%^#=<>~.:?&|]/.test(character) ? "operator" : "punctuation", character);
  },
};

type Stream = Parameters<StreamParser<State>["token"]>[0];

function said(state: State, style: string, token: string): string {
  state.previous = token;
  return style;
}

function wordStyle(word: string, previous: string, next: string): string {
  if (previous === "." || previous === ":") return next === "(" ? "propertyName.function" : "propertyName";
  if (ATOMS.has(word)) return "atom";
  if (KEYWORDS.has(word)) return "keyword";
  if (CONTEXTUAL.has(word) && !/[=(.,)]/.test(next)) return "keyword";
  if (GLOBALS.has(word)) return "variableName.special";
  return next === "(" ? "variableName.function" : "variableName";
}

function longBracket(stream: Stream, state: State): string {
  const close = `]${"=".repeat(state.level)}]`;
  if (stream.skipTo(close)) {
    stream.match(close);
    state.level = -1;
    state.previous = "string";
  } else stream.skipToEnd();
  return state.isComment ? "comment" : "string";
}

function quoted(stream: Stream, state: State): string {
  while (!stream.eol()) {
    const character = stream.next();
    if (character === "\\") {
      if (stream.match(/^z\s*/) || stream.next() === undefined) return "string";
    } else if (character === state.quote) {
      state.quote = "";
      state.previous = "string";
      return "string";
    } else if (state.quote === "`" && character === "{") {
      state.quote = "";
      state.braces.push(0);
      return "string";
    }
  }
  // Only a backslash at its end carries a short string on to the next line.
  if (!stream.string.endsWith("\\")) state.quote = "";
  return "string";
}
