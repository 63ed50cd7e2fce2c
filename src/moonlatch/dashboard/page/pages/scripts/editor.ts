/**
 * The editor: CodeMirror in a shadow root, where its styles are adopted sheets, which the page's policy allows.
 * Loaded when it is shown, not before.
 */
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentUnit, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { Fault } from "./diagnostics";
import { luau } from "./luau";

export interface Editor {
  text: () => string;
  replace: (text: string) => void;
  show: (faults: readonly Fault[]) => void;
  goTo: (line: number) => void;
  end: () => void;
}

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent-text)", fontWeight: "600" },
  { tag: tags.atom, color: "var(--accent-text)" },
  { tag: tags.string, color: "var(--good)" },
  { tag: tags.number, color: "var(--warn)" },
  { tag: tags.comment, color: "var(--quiet)", fontStyle: "italic" },
  { tag: tags.meta, color: "var(--warn)" },
  { tag: tags.special(tags.variableName), color: "var(--accent-text)" },
]);

const theme = EditorView.theme({
  "&": { height: "26rem", fontSize: "0.89rem", color: "var(--text)", backgroundColor: "var(--surface)" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--quiet)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--accent) 7%, transparent)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent) !important" },
  // Drawn with images in their own style, which the page's policy does not take.
  ".cm-lint-marker-error, .cm-lint-marker-warning": { content: "none", width: "0.6em", height: "0.6em", margin: "0.45em auto 0", borderRadius: "50%" },
  ".cm-lint-marker-error": { content: "none", backgroundColor: "var(--bad-strong)" },
  ".cm-lint-marker-warning": { content: "none", backgroundColor: "var(--warn)" },
  ".cm-lintRange-error, .cm-lintRange-warning, .cm-lintRange-active": { backgroundImage: "none" },
  ".cm-lintRange-error": { textDecoration: "underline wavy var(--bad-strong)" },
  ".cm-lintRange-warning": { textDecoration: "underline wavy var(--warn)" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-panels, .cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--text)", borderColor: "var(--line)" },
  ".cm-textfield, .cm-button": { backgroundColor: "var(--surface)", backgroundImage: "none", color: "var(--text)", borderColor: "var(--line-strong)" },
});

export function openEditor(place: HTMLElement, words: { label: string; text: string }, onChange: () => void, onSubmit: () => void): Editor {
  const root = place.shadowRoot ?? place.attachShadow({ mode: "open" });
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: words.text,
      extensions: [
        keymap.of([
          { key: "Mod-Enter", run: () => (onSubmit(), true) },
          // Esc first and then Tab leaves the editor, as its documentation advises for who has no mouse.
          indentWithTab,
          ...defaultKeymap,
          ...historyKeymap,
          ...searchKeymap,
        ]),
        lineNumbers(),
        highlightActiveLineGutter(),
        lintGutter(),
        history(),
        drawSelection(),
        indentUnit.of("    "),
        bracketMatching(),
        highlightActiveLine(),
        highlightSelectionMatches(),
        search({ top: true }),
        StreamLanguage.define(luau),
        syntaxHighlighting(colours),
        theme,
        EditorView.domEventHandlers({ beforeinput: typeOver }),
        EditorView.contentAttributes.of({ "aria-label": words.label, spellcheck: "false", tabindex: "0" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onChange();
        }),
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    replace: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
    show: (faults) => view.dispatch(setDiagnostics(view.state, faults.map((fault) => diagnosticOf(view, fault)))),
    goTo: (line) => {
      const { from } = view.state.doc.line(Math.min(line, view.state.doc.lines));
      view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
      view.focus();
    },
    end: () => view.destroy(),
  };
}

/** Chromium styles inline what it merges when a selection is typed over, which the page's policy does not take: we do that ourselves. */
function typeOver(event: InputEvent, view: EditorView): boolean {
  if (event.inputType !== "insertText" || event.data === null || view.composing || view.state.selection.main.empty) return false;
  event.preventDefault();
  view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
  return true;
}

function diagnosticOf(view: EditorView, fault: Fault): Diagnostic {
  const line = view.state.doc.line(Math.max(1, Math.min(fault.line ?? 1, view.state.doc.lines)));
  const indent = line.text.length - line.text.trimStart().length;
  return { from: line.from + indent, to: Math.max(line.to, line.from + indent), severity: fault.isWarning ? "warning" : "error", message: fault.message };
}
