export const text = {
  title: "Whose copy was leaked?",
  more: "What comes out is evidence, and blacklists nobody.",
  off: "Copies of this script are not marked: see Settings.",
  file: "Leaked text",
  build: "Build",
  trace: "Trace it",
  read: (build: number, read: string, places: string, keys: string) => `Build ${build}: ${read} of ${places} places were read, ${keys} keys scored.`,
  none: "No key agrees with it more than chance explains.",
  table: "Keys that agree with it",
  key: "Key",
  score: "Score",
  chance: "Chance of an error",
};
