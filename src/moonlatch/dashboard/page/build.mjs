// Builds the page: one folder of files with hashes in their names, compressed beforehand, and the licences of what is in them.
// `node build.mjs FOLDER`. Needs esbuild and the page's libraries in node_modules; writes into FOLDER alone.
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const source = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2]);
const making = `${target}.making`;

await rm(making, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: source,
  entryPoints: ["main.tsx", "style/page.css", "style/visit.css"],
  outdir: join(making, "assets"),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome123", "firefox121", "safari17.5"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});

/** The file that an entry became, as the page names it. */
function builtFrom(entry) {
  const [path] = Object.entries(metafile.outputs).find(([, output]) => output.entryPoint === entry);
  return path.slice(path.lastIndexOf("assets/"));
}

/** What an entry cannot do without: asked for together with it, not one after the other. */
function neededBy(entry) {
  const needed = new Set();
  const visit = (path) => {
    for (const { path: next, kind } of metafile.outputs[path].imports) {
      if (kind === "import-statement" && !needed.has(next)) {
        needed.add(next);
        visit(next);
      }
    }
  };
  visit(Object.keys(metafile.outputs).find((path) => metafile.outputs[path].entryPoint === entry));
  return [...needed].map((path) => path.slice(path.lastIndexOf("assets/")));
}

const icon = await readFile(join(source, "style/icon.svg"));
await writeFile(join(making, "assets/icon.svg"), icon);
const html = (await readFile(join(source, "page.html"), "utf8"))
  .replace("{style}", builtFrom("style/page.css"))
  .replace("{script}", builtFrom("main.tsx"))
  .replace("{needed}", neededBy("main.tsx").map((path) => `<link rel="modulepreload" href="${path}">`).join("\n"));
await writeFile(join(making, "page.html"), html);
await writeFile(join(making, "licences.txt"), await licences());
for (const name of await readdir(join(making, "assets"))) await compress(join(making, "assets", name));
for (const name of ["page.html", "licences.txt"]) await compress(join(making, name));
await mkdir(dirname(target), { recursive: true });
await rm(target, { recursive: true, force: true });
await rename(making, target);

async function compress(path) {
  const bytes = await readFile(path);
  await writeFile(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  const options = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  await writeFile(`${path}.br`, brotliCompressSync(bytes, { params: options }));
}

/** The licence texts of every library that the built files hold. */
async function licences() {
  const folders = new Set();
  for (const output of Object.values(metafile.outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
      if (found && bytesInOutput > 0) folders.add(resolve(source, found[1]));
    }
  }
  const texts = ["Moonlatch's dashboard is under the MIT licence. It holds these libraries:\n"];
  for (const folder of [...folders].sort()) {
    const about = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((name) => /^licen[cs]e/i.test(name));
    if (!file) throw new Error(`${relative(source, folder)} comes without its licence`);
    const text = await readFile(join(folder, file), "utf8");
    texts.push(`${"=".repeat(80)}\n${about.name} ${about.version} (${about.license})\n\n${text.trim()}\n`);
  }
  return texts.join("\n");
}
