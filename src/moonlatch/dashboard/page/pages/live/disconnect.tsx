/** Stops copies for good, after asking. */
import { call } from "../../api/client";
import { Confirm } from "../../parts/confirm";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/live";

const AT_ONCE = 1000;

export function Disconnect({ ids, onClose, onDone }: { ids: string[]; onClose: () => void; onDone: () => void }) {
  return (
    <Confirm
      title={text.disconnectTitle(ids.length)}
      submit={text.disconnect}
      onClose={onClose}
      run={async () => {
        for (let from = 0; from < ids.length; from += AT_ONCE) {
          await call("POST /sessions/disconnect", {}, { body: { session_ids: ids.slice(from, from + AT_ONCE) } });
        }
        tell(text.disconnected(ids.length));
        onDone();
        onClose();
      }}
    >
      <p>{text.disconnectMore}</p>
    </Confirm>
  );
}
