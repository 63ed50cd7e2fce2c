/** Why a customer could not start or go on, in words, by the code that their program was told; one that is not here is shown as it is. */
export const text: Record<string, string> = {
  SCRIPT_NOT_FOUND: "the script was removed",
  SCRIPT_DISABLED: "the script is switched off, or has no build",
  LOADER_OUTDATED: "a saved loader that is too old: fetch it again",
  SESSIONS_REQUIRED: "the program has no WebSockets, and the script requires them",
  KEY_REQUIRED: "no key was given",
  KEY_NOT_FOUND: "there is no such key",
  BLACKLISTED: "the key or its device is blacklisted",
  KEY_HELD: "the key is on hold: several people seem to share it",
  KEY_EXPIRED: "the key has expired",
  FINGERPRINT_REQUIRED: "the program does not say which device it is on",
  FINGERPRINT_MISMATCH: "not the device the key is bound to: unbind it for a new computer",
  TOO_MANY_INSTANCES: "as many copies as the key allows are already running",
  SUPERSEDED: "the same device started it again",
  EXECUTION_LIMIT_REACHED: "all starts of the key are used up",
  OUTDATED: "a newer build was published, and older ones are stopped",
  DISCONNECTED: "you stopped this copy",
};
