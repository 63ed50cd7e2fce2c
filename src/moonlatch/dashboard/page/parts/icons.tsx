/** Icons as strokes of the text's colour. They are beside words, so they say nothing to who listens. */
const shapes = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
  scripts: "M8 8l-4 4 4 4M16 8l4 4-4 4M13.5 5l-3 14",
  live: "M3 12h4l3-7 4 14 3-7h4",
  keys: "M14.5 9.5a4.5 4.5 0 1 0-3.6 4.4L13 16h2v2h2v2h3v-3.2l-6-6M8.6 8.6h.01",
  events: "M12 7v5l3 2M21 12a9 9 0 1 1-2.6-6.3M21 4v4h-4",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.8v4.4M9 14.8v4.4",
  webhooks: "M4 12h11M11 7l5 5-5 5M20 5v14",
  checkpoints: "M6 21V4M6 5h11l-2.5 4L17 13H6",
  projects: "M4 6.5h5l2 2.5h9v9.5H4z",
  team: "M9 11a3.2 3.2 0 1 0 0-6.4A3.2 3.2 0 0 0 9 11zM3 19.5c.4-3.4 2.6-5.2 6-5.2s5.6 1.8 6 5.2M16 5a3 3 0 0 1 0 5.8M17.5 14.7c2 .6 3.2 2.2 3.5 4.8",
  installation: "M5 5h14v6H5zM5 13h14v6H5zM8 8h.01M8 16h.01",
  book: "M5 5.5c2.5-1 5-.8 7 .7 2-1.5 4.5-1.7 7-.7V19c-2.5-.9-5-.7-7 .7-2-1.4-4.5-1.6-7-.7zM12 6.2v13.3",
  find: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM20 20l-4.7-4.7",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v11H9zM15 9V5H5v11h4",
  check: "M5 12.5l4.5 4.5L19 7.5",
  plus: "M12 5v14M5 12h14",
  out: "M10 5H5v14h5M14 8l4 4-4 4M18 12H9",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M18.4 5.6l-1.1 1.1M6.7 17.3l-1.1 1.1",
  download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
  upload: "M12 16V5M7.5 9.5L12 5l4.5 4.5M5 20h14",
  message: "M4 5h16v11H9l-5 4z",
  stop: "M7 7h10v10H7z",
} as const;

export type IconName = keyof typeof shapes;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg width="18" height="18" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={shapes[name]} />
    </svg>
  );
}
