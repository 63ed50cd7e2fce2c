/** The rules about shared keys, in words, by their names; one that is not here is shown as it is. */
export const text = {
  title: "Shared keys",
  more: "What counts as a key that several people use, and what happens then. An empty limit switches a rule off.",
  rules: {
    devices: ["devices in 30 days", "Most devices in 30 days"],
    networks_a_day: ["networks a day", "Most networks a day"],
    starts_an_hour: ["starts an hour", "Most starts an hour"],
    seconds_between_devices: ["seconds between devices", "Fewest seconds from one device to the next"],
    starts_without_fingerprint: ["starts without a device", "Most starts a day without a device"],
    hooked_starts: ["starts in a changed host", "Most starts a day in a host with replaced functions"],
  } as Record<string, [short: string, label: string]>,
  action: "Then",
  actions: [
    ["signal", "record an event"],
    ["hold", "put the key on hold"],
    ["blacklist", "blacklist the key"],
  ] as [string, string][],
  hours: "Hours a key stays on hold",
  hoursHint: "Empty: until it is released",
};

export function ruleName(rule: string): string {
  return text.rules[rule]?.[0] ?? rule;
}
