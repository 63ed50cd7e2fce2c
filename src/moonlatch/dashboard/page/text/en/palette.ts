export const text = {
  palette: {
    title: "Find",
    placeholder: "A page, a script, a key, a Discord id, a session id",
    nothing: "Nothing found.",
    searching: "Searching",
    hint: "Enter opens, arrows choose, Esc closes",
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
      ["/", "to the search of this page"],
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
