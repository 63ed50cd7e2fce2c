/** The keys that are given another build of a script than everybody else. */
import { call } from "../../api/client";
import { type Question, useLoaded } from "../../api/load";
import type { PinView, ScriptView } from "../../api/types";
import { Foot } from "../../parts/pages";
import { Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { moment } from "../../parts/time";
import { place, to } from "../../shell/router";
import { text } from "../../text/en/scripts";

const words = text.pins;
const SIZE = 50;

/** How many are before the first that the address asks for. */
export function pinsFrom(): number {
  return Math.max(0, Number(place.value.query.get("from")) || 0);
}

export function pinsOf(script: string, from: number): Question<PinView[]> {
  return [`pins ${script} ${from}`, async (signal) => (await call("GET /scripts/{script_id}/pins", { script_id: script }, { query: { from, limit: SIZE }, signal })).pins];
}

export function Pins({ script, version }: { script: ScriptView; version: string }) {
  const from = pinsFrom();
  const loaded = useLoaded(...pinsOf(script.id, from), version);
  return (
    <>
      <h2>{words.title}</h2>
      <Shown loaded={loaded}>
        {(pins) =>
          pins.length === 0 && from === 0 ? (
            <p class="quiet">{words.none}</p>
          ) : (
            <>
              <Table
                caption={words.title}
                rows={pins}
                keyOf={(pin) => pin.user_id}
                columns={[
                  {
                    label: words.key,
                    isLead: true,
                    show: (pin) => (
                      <a class="mono clip short" href={to(`/projects/${script.project_id}/keys/${pin.user_id}`, { show: "builds" })}>
                        {pin.user_key ?? pin.user_id}
                      </a>
                    ),
                  },
                  { label: words.channel, show: (pin) => pin.channel && <span class="wrap">{pin.channel}</span> },
                  { label: words.build, show: (pin) => pin.build !== null && <span class="number">{pin.build}</span> },
                  { label: words.until, show: (pin) => pin.build !== null && (pin.expires === null ? words.forGood : moment(pin.expires)) },
                ]}
              />
              {(from > 0 || pins.length === SIZE) && <Foot from={from} many={pins.length} size={SIZE} isLast={pins.length < SIZE} />}
            </>
          )
        }
      </Shown>
    </>
  );
}
