/** One build: what is known of it, serving it, and taking it out of service for good. */
import { call } from "../../api/client";
import { readAnewOnConflict } from "../../api/errors";
import type { BuildView, ScriptView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Choice } from "../../parts/form";
import { bytesOf, Time } from "../../parts/time";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/scripts";

const words = text.builds;

interface Props {
  script: ScriptView;
  build: BuildView;
  /** The script's version that was looked at. */
  etag: string | null;
  onClose: () => void;
  onDone: () => Promise<void>;
}

/** A build as one chooses it among others. */
export function nameOf(build: BuildView): string {
  return [String(build.number), build.label, build.current && words.current].filter(Boolean).join(" · ");
}

/** Those that can be served. */
export function choicesOf(builds: readonly BuildView[]): [value: string, words: string][] {
  return builds.filter((build) => build.yanked_at === null).map((build) => [String(build.number), nameOf(build)]);
}

export function BuildFacts({ build, onClose }: { build: BuildView; onClose: () => void }) {
  const facts: [string, string | null][] = [
    [words.label, build.label],
    [words.profile, build.engine === "embedded" ? build.profile : build.engine],
    [words.target, build.target],
    [words.by, build.published_by?.name ?? null],
    [words.source, bytesOf(build.source_bytes)],
    [words.sourceHash, build.source_sha256],
    [words.payload, bytesOf(build.payload_bytes)],
    [words.payloadHash, build.payload_sha256],
  ];
  return (
    <Dialog title={words.title(build.number)} onClose={onClose}>
      {build.notes !== null && <p class="told">{build.notes}</p>}
      <dl class="facts">
        {facts.map(
          ([name, value]) =>
            value !== null && (
              <>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </>
            ),
        )}
        <dt>{words.created}</dt>
        <dd>
          <Time at={build.created_at} />
        </dd>
        {build.yanked_at !== null && (
          <>
            <dt>{words.yankedAt}</dt>
            <dd>
              <Time at={build.yanked_at} />
            </dd>
          </>
        )}
      </dl>
    </Dialog>
  );
}

export function RollBack({ script, build, etag, onClose, onDone }: Props) {
  return (
    <Confirm
      title={words.serveTitle(build.number)}
      submit={words.serveGo}
      onClose={onClose}
      run={async () => {
        await readAnewOnConflict(onDone, () => call("POST /scripts/{script_id}/rollback", { script_id: script.id }, { body: { build: build.number }, etag }));
        tell(words.served(build.number));
        onClose();
        await onDone();
      }}
    >
      <p>{script.kick_outdated ? words.serveMoreKick : words.serveMore}</p>
    </Confirm>
  );
}

export function Yank({ script, build, etag, builds, onClose, onDone }: Props & { builds: readonly BuildView[] }) {
  const others = choicesOf(builds).filter(([number]) => number !== String(build.number));
  const isStuck = build.current && others.length === 0;
  return (
    <Confirm
      title={words.yankTitle(build.number)}
      submit={words.yank}
      isDisabled={isStuck}
      onClose={onClose}
      run={async (entered) => {
        const successor = entered.number("successor");
        await readAnewOnConflict(onDone, () => call("POST /scripts/{script_id}/builds/{number}/yank", { script_id: script.id, number: build.number }, { body: { successor }, etag }));
        tell(words.yankDone(build.number));
        onClose();
        await onDone();
      }}
    >
      <p>{words.yankMore}</p>
      {isStuck ? (
        <p class="alert warn">{words.yankAlone}</p>
      ) : (
        <Choice name="successor" label={words.successor} hint={build.current ? undefined : words.successorHint} options={build.current ? others : [["", words.noSuccessor], ...others]} />
      )}
    </Confirm>
  );
}
