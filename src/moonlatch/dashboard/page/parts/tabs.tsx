/** Parts of a page beside each other, of which one is shown: `show` in its address, the first without it. */
import { useEffect, useRef } from "preact/hooks";
import { place, to } from "../shell/router";

interface Props<N extends string> {
  label: string;
  names: readonly N[];
  /** The one that is shown. */
  shown: N;
  words: Record<N, string>;
}

export function Tabs<N extends string>({ label, names, shown, words }: Props<N>) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    // On narrow screens the row is scrolled.
    const current = box.current?.querySelector<HTMLElement>("[aria-current]");
    if (box.current && current) box.current.scrollLeft = current.offsetLeft - box.current.offsetLeft - (box.current.clientWidth - current.offsetWidth) / 2;
  }, [shown]);
  return (
    <nav ref={box} class="tabs" aria-label={label}>
      {names.map((name) => (
        <a key={name} href={to(place.value.path, { show: name === names[0] ? undefined : name })} aria-current={name === shown ? "page" : undefined}>
          {words[name]}
        </a>
      ))}
    </nav>
  );
}

/** The one that the address names, else the first. */
export function tabOf<N extends string>(names: readonly [N, ...N[]]): N {
  return names.find((name) => name === place.value.query.get("show")) ?? names[0];
}
