export const text = {
  palette: {
    title: "Find",
    placeholder: "Page, script, key, Discord id or session id",
    nothing: "Nothing found.",
    searching: "Searching",
    hint: "Enter opens, arrows select, Esc closes",
    page: "page",
    project: "project",
    script: "script",
    key: "key",
    session: "session",
  },
  shortcuts: {
    title: "Keyboard",
    list: [
      ["Ctrl K", "find anything"],
      ["/", "search on this page"],
      ["g o", "overview"],
      ["g k", "keys"],
      ["g s", "scripts"],
      ["g l", "live"],
      ["g e", "events"],
      ["g t", "team and tokens"],
      ["?", "this list"],
    ] as const,
  },
};
