/** Gives the loader a new secret, for when somebody has the old one. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import type { ScriptView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Choice } from "../../parts/form";
import { moment, now } from "../../parts/time";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/scripts";

const words = text.page;

export function RotateLoader({ script }: { script: ScriptView }) {
  const isAsking = useSignal(false);
  return (
    <div class="row between">
      <p class="small quiet grow">{words.rotateMore}</p>
      <button type="button" onClick={() => (isAsking.value = true)}>
        {words.rotate}
      </button>
      {isAsking.value && (
        <Confirm
          title={words.rotate}
          submit={words.rotateGo}
          onClose={() => (isAsking.value = false)}
          run={async (entered) => {
            const grace = entered.number("grace") ?? 0;
            const { previous_valid_until: until } = await call("POST /scripts/{script_id}/rotate_loader", { script_id: script.id }, { body: { grace } });
            tell(until > now.value ? words.rotated(moment(until)) : words.rotatedNow);
            isAsking.value = false;
          }}
        >
          <p>{words.rotateMore}</p>
          <Choice name="grace" label={words.rotateGrace} options={words.rotateGraces} />
        </Confirm>
      )}
    </div>
  );
}
