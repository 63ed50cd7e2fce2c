/** Brings a new version: written or uploaded, checked while it is written, then built. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { call } from "../../api/client";
import { ApiError } from "../../api/errors";
import { useLoaded } from "../../api/load";
import type { ReadableView, StepFields, UpdateScript } from "../../api/types";
import { Alert } from "../../parts/alert";
import { Choice, FieldErrors, TextArea, TextField } from "../../parts/form";
import { later } from "../../shell/later";
import { text as releases } from "../../text/en/releases";
import { text } from "../../text/en/scripts";
import { STABLE } from "./channels";
import { type Fault, faultsOf, warningsOf } from "./diagnostics";
import type { Editor } from "./editor";
import { stepsOf } from "./steps";

const words = text.publish;
const PAUSE_MS = 500;
/** What a check takes; a longer text is checked when it is published. */
const CHECKED_BYTES = 512 * 1024;
const SCRIPT_INVALID = 2;

/** What was written and not published, by script, as long as the page is open. */
const drafts = new Map<string, string>();

type Progress = { state: "idle" } | { state: "checking" } | { state: "fine" } | { state: "building"; since: number } | { state: "done"; build: number; said: string };

interface Props {
  script: string;
  onPublished: () => void;
  /** Where a newcomer goes on after a build; null for others. */
  next: string | null;
}

export function Publish({ script, onPublished, next }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const isReady = useSignal(false);
  const isEmpty = useSignal(!drafts.get(script));
  const isOver = useSignal(false);
  const progress = useSignal<Progress>({ state: "idle" });
  const faults = useSignal<readonly Fault[]>([]);
  const readable = useSignal<readonly ReadableView[]>([]);
  const failure = useSignal<unknown>(undefined);
  const profile = useSignal("");
  const label = useSignal("");
  const notes = useSignal("");
  const channel = useSignal(STABLE);
  const steps = useSignal("");
  const publishAt = useSignal("");
  const channels = useLoaded(`channels ${script}`, async (signal) => (await call("GET /scripts/{script_id}/channels", { script_id: script }, { signal })).channels);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const checks = useRef<AbortController | null>(null);

  useEffect(() => {
    let isHere = true;
    void later(() => import("./editor")).then(({ openEditor }) => {
      if (!isHere || !place.current) return;
      editor.current = openEditor(place.current, { label: words.editor, text: drafts.get(script) ?? "" }, changed, () => void publish());
      isReady.value = true;
    });
    return () => {
      isHere = false;
      clearTimeout(timer.current);
      checks.current?.abort();
      editor.current?.end();
      editor.current = null;
    };
  }, [script]);

  function source(): string {
    return editor.current?.text() ?? "";
  }

  function body() {
    return { script: source(), profile: (profile.value || null) as NonNullable<UpdateScript["profile"]> | null };
  }

  function changed() {
    drafts.set(script, source());
    isEmpty.value = source() === "";
    checks.current?.abort();
    clearTimeout(timer.current);
    if (progress.value.state === "building") return;
    progress.value = { state: "idle" };
    timer.current = setTimeout(() => void check(), PAUSE_MS);
  }

  async function check() {
    const own = (checks.current = new AbortController());
    if (source().trim() === "" || source().length > CHECKED_BYTES) return show([]);
    progress.value = { state: "checking" };
    try {
      const { valid, parser_output, warnings } = await call("POST /scripts/{script_id}/check", { script_id: script }, { body: body(), signal: own.signal });
      if (own.signal.aborted) return;
      show(valid ? warningsOf(warnings) : faultsOf(parser_output ?? ""));
      progress.value = { state: valid ? "fine" : "idle" };
      if (valid) failure.value = undefined;
    } catch {
      if (own.signal.aborted) return;
      // What could not be checked is said to who publishes: whoever writes is not disturbed by it.
      progress.value = { state: "idle" };
      show([]);
    }
  }

  function show(found: readonly Fault[]) {
    faults.value = found;
    editor.current?.show(found);
  }

  async function publish() {
    if (progress.value.state === "building" || source() === "") return;
    checks.current?.abort();
    clearTimeout(timer.current);
    failure.value = undefined;
    readable.value = [];
    progress.value = { state: "building", since: Date.now() };
    try {
      const release = { label: label.value || null, notes: notes.value || null, steps: steps.value === "" ? null : stepsOf(steps.value), publish_at: publishAt.value === "" ? null : new Date(publishAt.value).getTime() };
      const { build, warnings, readable: kept } = await call("POST /scripts/{script_id}/update", { script_id: script }, { body: { ...body(), ...release }, query: { channel: channel.value } });
      show(warningsOf(warnings));
      readable.value = kept;
      progress.value = { state: "done", build, said: saidOf(build, channel.value, release) };
      drafts.delete(script);
      label.value = notes.value = steps.value = publishAt.value = "";
      onPublished();
    } catch (caught) {
      progress.value = { state: "idle" };
      failure.value = caught;
      show(isFaulty(caught) ? faultsOf(caught.detail.parser_output ?? "") : []);
    }
  }

  async function take(file: File | undefined) {
    if (!file || !editor.current) return;
    editor.current.replace((await file.text()).replace(/^\uFEFF/, ""));
  }

  const isBuilding = progress.value.state === "building";
  return (
    <div class="stack">
      <div
        class="drop"
        data-over={isOver.value}
        onDragOver={(event) => {
          event.preventDefault();
          isOver.value = true;
        }}
        onDragLeave={() => (isOver.value = false)}
        onDrop={(event) => {
          event.preventDefault();
          isOver.value = false;
          void take(event.dataTransfer?.files[0]);
        }}
      >
        <p>{words.drop}</p>
        <div class="row">
          <label class="button">
            {words.choose}
            <input
              class="visually-hidden"
              type="file"
              accept=".lua,.luau,.txt"
              onChange={(event) => {
                void take(event.currentTarget.files?.[0]);
                event.currentTarget.value = "";
              }}
            />
          </label>
          {isEmpty.value && (
            <button type="button" class="plain" disabled={!isReady.value} onClick={() => editor.current?.replace(words.exampleSource)}>
              {words.example}
            </button>
          )}
        </div>
      </div>
      <div class="editor" ref={place} />
      {failure.value !== undefined && <Refused failure={failure.value} />}
      <Faults faults={faults.value} onChoose={(line) => editor.current?.goTo(line)} />
      <KeptFast functions={readable.value} onChoose={(line) => editor.current?.goTo(line)} />
      <details>
        <summary>{words.about}</summary>
        <div class="fields inset">
          <FieldErrors failure={failure.value}>
            <div class="fields two">
              <TextField name="label" label={words.label} hint={words.labelHint} maxLength={100} value={label.value} onInput={(event) => (label.value = event.currentTarget.value)} />
              {(channels.data.value?.length ?? 0) > 1 && (
                <Choice
                  name="channel"
                  label={words.channel}
                  hint={channel.value === STABLE ? undefined : words.channelHint}
                  options={(channels.data.value ?? []).map(({ name }) => [name, name === STABLE ? words.everybody : name])}
                  value={channel.value}
                  onChange={(event) => (channel.value = event.currentTarget.value)}
                />
              )}
            </div>
            <TextArea name="notes" label={words.notes} hint={words.notesHint} rows={3} maxLength={10_000} value={notes.value} onInput={(event) => (notes.value = event.currentTarget.value)} />
            <div class="fields two">
              <TextField name="steps" label={releases.scheduled.steps} hint={releases.scheduled.stepsHint} value={steps.value} onInput={(event) => (steps.value = event.currentTarget.value)} inputMode="decimal" />
              <TextField name="publish_at" type="datetime-local" label={releases.scheduled.at} hint={releases.scheduled.atHint} value={publishAt.value} onInput={(event) => (publishAt.value = event.currentTarget.value)} />
            </div>
          </FieldErrors>
        </div>
      </details>
      <div class="row between">
        <p class="quiet" role="status">
          <Said progress={progress.value} faults={faults.value} />
          {next !== null && progress.value.state === "done" && (
            <>
              {" "}
              <a href={next}>{words.next}</a>
            </>
          )}
        </p>
        <div class="row">
          <label class="row">
            <span class="visually-hidden">{words.profile}</span>
            <select class="fit" value={profile.value} onChange={(event) => (profile.value = event.currentTarget.value)}>
              {text.profiles.map(([name, said]) => (
                <option key={name} value={name}>
                  {name === "" ? words.asSet : said}
                </option>
              ))}
            </select>
          </label>
          <button type="button" class="primary" disabled={!isReady.value} aria-disabled={isBuilding} onClick={() => void publish()}>
            {isBuilding && <span class="spin" />}
            {words.go}
          </button>
        </div>
      </div>
    </div>
  );
}

/** The functions of a build for a machine whose speed was kept, at the price that their statements can be read from it. */
function KeptFast({ functions, onChoose }: { functions: readonly ReadableView[]; onChoose: (line: number) => void }) {
  if (functions.length === 0) return null;
  return (
    <details>
      <summary>{words.readable(functions.length)}</summary>
      <div class="stack inset">
        <p class="quiet">{words.readableMore}</p>
        <ul>
          {functions.map(({ line, name, part }, index) => (
            <li key={index}>
              <button type="button" class="link" onClick={() => onChoose(line)}>
                {words.line(line)}
              </button>{" "}
              {name === "" ? words.nameless : <code>{name}</code>} <span class="quiet">{words.parts[part] ?? part}</span>
            </li>
          ))}
        </ul>
      </div>
    </details>
  );
}

function saidOf(build: number, channel: string, { steps, publish_at }: { steps: StepFields[] | null; publish_at: number | null }): string {
  if (publish_at !== null) return releases.scheduled.set(build);
  if (steps !== null) return releases.rollout.started(build);
  return channel === STABLE ? words.published(build) : words.publishedOn(build, channel);
}

function isFaulty(failure: unknown): failure is ApiError {
  return failure instanceof ApiError && failure.status === 422 && failure.detail.code === SCRIPT_INVALID;
}

function Said({ progress, faults }: { progress: Progress; faults: readonly Fault[] }) {
  const seconds = useSignal(0);
  useEffect(() => {
    if (progress.state !== "building") return;
    seconds.value = 0;
    const timer = setInterval(() => (seconds.value = Math.round((Date.now() - progress.since) / 1000)), 1000);
    return () => clearInterval(timer);
  }, [progress]);
  switch (progress.state) {
    case "checking":
      return <>{words.checking} …</>;
    case "fine":
      return <>{words.fine}</>;
    case "building":
      return (
        <>
          {words.building} … {words.seconds(seconds.value)}
        </>
      );
    case "done":
      return <strong class="badge good">{progress.said}</strong>;
    default:
      return <>{faults.length > 0 ? words.faults(faults.length) : words.writing}</>;
  }
}

function Refused({ failure }: { failure: unknown }) {
  const detail = failure instanceof ApiError ? failure.detail : null;
  return (
    <>
      <Alert failure={failure} />
      {detail?.hint && <p class="alert warn">{detail.hint}</p>}
      {detail?.luraph_errors && (
        <ul class="alert">
          {detail.luraph_errors.map((error) => (
            <li key={error.message}>{error.param === null ? error.message : `${error.param}: ${error.message}`}</li>
          ))}
        </ul>
      )}
    </>
  );
}

function Faults({ faults, onChoose }: { faults: readonly Fault[]; onChoose: (line: number) => void }) {
  if (faults.length === 0) return null;
  return (
    <ul class={faults.some((fault) => !fault.isWarning) ? "alert" : "alert warn"}>
      {faults.map((fault, index) => (
        <li key={index}>
          {fault.line !== null && (
            <button type="button" class="link" onClick={() => onChoose(fault.line ?? 1)}>
              {words.line(fault.line)}
            </button>
          )}{" "}
          {fault.message}
        </li>
      ))}
    </ul>
  );
}
