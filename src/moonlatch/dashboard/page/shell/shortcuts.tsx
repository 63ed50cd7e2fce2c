/** The keys that work everywhere. */
import { Fragment } from "preact";
import { Dialog } from "../parts/dialog";
import { text } from "../text/en/palette";
import { areShortcutsShown } from "./open";

export function Shortcuts() {
  return (
    <Dialog title={text.shortcuts.title} onClose={() => (areShortcutsShown.value = false)}>
      <dl class="facts">
        {text.shortcuts.list.map(([keys, what]) => (
          <Fragment key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </Fragment>
        ))}
      </dl>
    </Dialog>
  );
}
