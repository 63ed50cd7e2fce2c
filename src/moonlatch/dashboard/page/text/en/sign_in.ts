export const text = {
  title: "Sign in",
  withToken: "Sign in with an API token",
  token: "API token",
  tokenHint: "The first start of the server printed one. It is kept in this tab alone, until you close it.",
  go: "Sign in",
  refused: "This token is not valid (any more).",
  lostToken: "Lost it? On the server:",
  ended: "Your session has ended. Sign in, and go on where you were.",
};
