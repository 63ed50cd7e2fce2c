/** Forms: fields with their words, what the API says against one beside it, and one send at a time. */
import { signal, useSignal, type Signal } from "@preact/signals";
import { type ComponentChildren, createContext, type JSX } from "preact";
import { useContext, useEffect, useId, useMemo, useRef } from "preact/hooks";
import { ApiError } from "../api/errors";
import { text } from "../text/en/shell";
import { Alert } from "./alert";
import { enterField } from "./dialog";

type Wrong = Record<string, string[]>;
const WrongFields = createContext<Signal<Wrong>>(signal({}));

/** Gives fields outside of a Form what the API, or the page itself, says against them. */
export function FieldErrors({ failure, children }: { failure: unknown; children: ComponentChildren }) {
  const wrong = useMemo(() => signal<Wrong>(failure instanceof ApiError ? failure.fields : failure instanceof FieldError ? { [failure.field]: [failure.message] } : {}), [failure]);
  return <WrongFields.Provider value={wrong}>{children}</WrongFields.Provider>;
}

/** What the page itself finds wrong with a field. */
export class FieldError extends Error {
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/** What was entered. */
export class Entered {
  readonly #data: FormData;

  constructor(form: HTMLFormElement) {
    this.#data = new FormData(form);
  }

  text(name: string): string {
    const value = this.#data.get(name);
    return typeof value === "string" ? value.trim() : "";
  }

  /** As it was typed: spaces are part of a password. */
  secret(name: string): string {
    const value = this.#data.get(name);
    return typeof value === "string" ? value : "";
  }

  /** null where nothing was entered; what is no number stays text, for the API to refuse at its field. */
  number(name: string): number | null {
    const value = this.text(name);
    return value === "" ? null : Number.isFinite(Number(value)) ? Number(value) : (value as unknown as number);
  }

  /** Unix milliseconds of a local date and time; null where nothing was entered. */
  moment(name: string): number | null {
    const value = this.text(name);
    return value === "" ? null : new Date(value).getTime();
  }

  flag(name: string): boolean {
    return this.#data.has(name);
  }

  all(name: string): string[] {
    return this.#data.getAll(name).filter((value): value is string => typeof value === "string");
  }
}

interface FormProps {
  /** Sends it; what it raises is shown. */
  run: (entered: Entered) => Promise<void>;
  submit: string;
  isDanger?: boolean;
  isDisabled?: boolean;
  onCancel?: (() => void) | undefined;
  /** Says that it takes care of a failure itself. */
  onFailure?: (failure: unknown) => boolean;
  onInput?: (form: HTMLFormElement) => void;
  children?: ComponentChildren;
}

export function Form({ run, submit, isDanger, isDisabled, onCancel, onFailure, onInput, children }: FormProps) {
  const form = useRef<HTMLFormElement>(null);
  const wrong = useSignal<Wrong>({});
  const failure = useSignal<unknown>(undefined);
  const isBusy = useSignal(false);
  // One that comes when something was loaded, into a box that is open already.
  useEffect(() => enterField(form.current?.closest("dialog")), []);

  async function send(event: Event) {
    event.preventDefault();
    if (isBusy.value || isDisabled || !form.current) return;
    isBusy.value = true;
    failure.value = undefined;
    wrong.value = {};
    try {
      await run(new Entered(form.current));
    } catch (caught) {
      if (!onFailure?.(caught)) show(caught);
    } finally {
      isBusy.value = false;
    }
  }

  function show(caught: unknown) {
    const names = new Set(Array.from(form.current?.elements ?? [], (element) => element.getAttribute("name")));
    if (caught instanceof FieldError) {
      wrong.value = { [caught.field]: [caught.message] };
    } else if (caught instanceof ApiError) {
      const fields = Object.entries(caught.fields);
      wrong.value = Object.fromEntries(fields.filter(([name]) => names.has(name)));
      const elsewhere = fields.filter(([name]) => !names.has(name));
      failure.value = fields.length > 0 && elsewhere.length === 0 ? undefined : caught;
    } else failure.value = caught;
    requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid='true']")?.focus());
  }

  return (
    <WrongFields.Provider value={wrong}>
      <form ref={form} class="stack" noValidate onSubmit={send} onInput={onInput && (() => form.current && onInput(form.current))}>
        {failure.value !== undefined && <Alert failure={failure.value} />}
        {children}
        <div class="row end">
          {onCancel && (
            <button type="button" onClick={onCancel}>
              {text.common.cancel}
            </button>
          )}
          <button type="submit" class={isDanger ? "primary danger" : "primary"} disabled={isDisabled} aria-disabled={isBusy.value}>
            {isBusy.value && <span class="spin" />}
            {submit}
          </button>
        </div>
      </form>
    </WrongFields.Provider>
  );
}

interface FieldProps {
  name: string;
  label: string;
  hint?: ComponentChildren;
}

/** What ties a control to its words: `control` are the attributes it takes. */
function useField(name: string, hint: ComponentChildren) {
  const id = useId();
  const errors = useContext(WrongFields).value[name];
  const described = [hint ? `${id}-hint` : "", errors ? `${id}-wrong` : ""].filter(Boolean).join(" ");
  const control = {
    id,
    name,
    "aria-invalid": errors ? ("true" as const) : undefined,
    "aria-describedby": described || undefined,
  };
  const words = (
    <>
      {hint && (
        <span class="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {errors && (
        <span class="wrong" id={`${id}-wrong`}>
          {errors.join("; ")}
        </span>
      )}
    </>
  );
  return { id, control, words };
}

export function TextField({ name, label, hint, ...input }: FieldProps & JSX.IntrinsicElements["input"]) {
  const { id, control, words } = useField(name, hint);
  const box = useRef<HTMLInputElement>(null);
  // Browsers do it once for a whole page, and not where its address has a part behind the `#`.
  useEffect(() => {
    const at = document.activeElement;
    if (input.autoFocus && (at === document.body || box.current?.form?.contains(at))) box.current?.focus();
  }, []);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input ref={box} type="text" autoComplete="off" spellcheck={false} {...input} {...control} />
      {words}
    </div>
  );
}

export function TextArea({ name, label, hint, ...area }: FieldProps & JSX.IntrinsicElements["textarea"]) {
  const { id, control, words } = useField(name, hint);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea rows={4} spellcheck={false} {...area} {...control} />
      {words}
    </div>
  );
}

interface ChoiceProps extends FieldProps {
  options: [value: string, words: string][];
  /** What the label is about, where what stands beside it shows that already: it is read out only. */
  about?: string;
}

export function Choice({ name, label, hint, options, about, ...select }: ChoiceProps & JSX.IntrinsicElements["select"]) {
  const { id, control, words } = useField(name, hint);
  return (
    <div class="field">
      <label for={id}>
        {about && <span class="visually-hidden">{about}: </span>}
        {label}
      </label>
      <select {...select} {...control}>
        {options.map(([value, said]) => (
          <option key={value} value={value} selected={value === select.defaultValue}>
            {said}
          </option>
        ))}
      </select>
      {words}
    </div>
  );
}

interface TickProps extends FieldProps {
  value?: string;
  defaultChecked?: boolean;
  disabled?: boolean;
}

export function Tick({ name, label, hint, ...input }: TickProps) {
  const { id, control, words } = useField(name, hint);
  return (
    <div class="tick">
      <input {...input} {...control} type="checkbox" />
      <label for={id}>{label}</label>
      {words}
    </div>
  );
}

/** A local date and time, as the browser's own field takes it. */
export function localTime(at: number | null | undefined): string {
  if (at == null) return "";
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}
