/** One-time codes beside the password, and the recovery codes in their place. */
import { useSignal } from "@preact/signals";
import { encode } from "uqr";
import { call } from "../../api/client";
import type { TotpReply } from "../../api/types";
import { arrive } from "../../data/arrival";
import { Confirm } from "../../parts/confirm";
import { Copyable } from "../../parts/copy";
import { Dialog } from "../../parts/dialog";
import { Form, TextField } from "../../parts/form";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/me";

export function OneTimeCodes({ isOn }: { isOn: boolean }) {
  const begun = useSignal<TotpReply | null>(null);
  const codes = useSignal<string[] | null>(null);
  const isEnding = useSignal(false);

  async function begin() {
    begun.value = await call("POST /me/totp/begin", {});
  }

  async function renew() {
    codes.value = (await call("POST /me/recovery_codes", {})).recovery_codes;
  }

  return (
    <section class="card stack">
      <header class="row between">
        <h2>{text.totp}</h2>
        <span class={isOn ? "badge good" : "badge"}>{isOn ? text.totpOn : text.totpOff}</span>
      </header>
      <p class="quiet">{text.totpMore}</p>
      <div class="row">
        {isOn ? (
          <>
            <button type="button" onClick={() => void renew().catch(tellFailure)}>
              {text.renew}
            </button>
            <button type="button" class="danger" onClick={() => (isEnding.value = true)}>
              {text.disable}
            </button>
          </>
        ) : (
          <button type="button" onClick={() => void begin().catch(tellFailure)}>
            {text.begin}
          </button>
        )}
      </div>
      {begun.value && (
        <Dialog title={text.totp} onClose={() => (begun.value = null)}>
          <p>{text.scan}</p>
          <Squares content={begun.value.url} />
          <Copyable value={begun.value.secret} label={text.secret} isWrapped />
          <Form
            submit={text.enable}
            run={async (entered) => {
              codes.value = (await call("POST /me/totp/enable", {}, { body: { code: entered.text("code") } })).recovery_codes;
              begun.value = null;
              await arrive();
            }}
          >
            <TextField name="code" label={text.code} inputMode="numeric" autoComplete="one-time-code" maxLength={6} />
          </Form>
        </Dialog>
      )}
      {codes.value && (
        <Dialog title={text.recovery} onClose={() => (codes.value = null)}>
          <p class="alert warn">{text.recoveryMore}</p>
          <Copyable value={codes.value.join("\n")} label={text.recovery} />
          <div class="row end">
            <button type="button" class="primary" onClick={() => (codes.value = null)}>
              {text.done}
            </button>
          </div>
        </Dialog>
      )}
      {isEnding.value && (
        <Confirm
          title={text.disableTitle}
          submit={text.disable}
          onClose={() => (isEnding.value = false)}
          run={async () => {
            await call("POST /me/totp/disable", {});
            await arrive();
            isEnding.value = false;
            tell(text.disabled);
          }}
        >
          <p>{text.disableMore}</p>
        </Confirm>
      )}
    </section>
  );
}

/** A QR code, drawn: cameras want it dark on light in either theme. */
function Squares({ content }: { content: string }) {
  const { size, data } = encode(content, { border: 3 });
  const path = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : []))).join("");
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={text.qr} shape-rendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
