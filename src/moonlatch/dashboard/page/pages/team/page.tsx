/** Who may do what: people, and programs. */
import { may } from "../../api/session";
import { text } from "../../text/en/team";
import { Members } from "./members";
import { Tokens } from "./tokens";

export default function Team() {
  return (
    <div class="stack">
      <div class="head">
        <div>
          <h1>{text.title}</h1>
          <p>{text.more}</p>
        </div>
      </div>
      {may("members:read") && <Members />}
      {may("tokens:read") && <Tokens />}
    </div>
  );
}
