/** Passkeys as the browser keeps them; the API's options and answers are in the spelling of WebAuthn's own JSON. */

interface Json {
  toJSON(): Record<string, unknown>;
}

export const arePasskeysKnown = typeof PublicKeyCredential === "function" && "parseRequestOptionsFromJSON" in PublicKeyCredential;

/** Use one that the browser has for this server. Raises DOMException where somebody declines. */
export async function usePasskey(options: Record<string, unknown>): Promise<Record<string, unknown>> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as unknown as PublicKeyCredentialRequestOptionsJSON);
  return jsonOf(await navigator.credentials.get({ publicKey }));
}

/** Make one. Raises DOMException where somebody declines, or has one already. */
export async function makePasskey(options: Record<string, unknown>): Promise<Record<string, unknown>> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as unknown as PublicKeyCredentialCreationOptionsJSON);
  return jsonOf(await navigator.credentials.create({ publicKey }));
}

function jsonOf(credential: Credential | null): Record<string, unknown> {
  if (credential === null) throw new DOMException("", "NotAllowedError");
  return (credential as unknown as Json).toJSON();
}
