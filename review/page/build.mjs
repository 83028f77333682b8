// Builds ../static from src: one script, one stylesheet, the page, and the licences of what is bundled.
// The result depends on nothing but these files and package-lock.json, so a check can compare it byte for byte.
import { build } from "esbuild";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "..", "static");

// What the page changes in NiiVue, whose version is pinned: text that stands there once, and what takes its place.
const CHANGES = [
  // Each scan is filtered twice for a light in the 3D view that the page leaves off.
  ["function gradientGL(params) {", "function gradientGL(params) { return params.gradientTexture;"],
  // Each scan is sent to the graphics card and coloured there, where src/viewer.ts has not done so.
  ["const uploadResult = setupVolumeTextureData({", "const uploadResult = this.isColoured ? { orientShader: this.orientShaderU } : setupVolumeTextureData({"],
  ["    renderToOutputTexture({", "    if (!this.isColoured) renderToOutputTexture({"],
];
const changedNiivue = {
  name: "changed NiiVue",
  setup: ({ onLoad }) =>
    onLoad({ filter: /@niivue.niivue.build.niivue.index\.js$/ }, ({ path }) => {
      let contents = readFileSync(path, "utf8");
      for (const [text, instead] of CHANGES) {
        const parts = contents.split(text);
        if (parts.length !== 2) throw new Error(`expected "${text}" once in ${path}, got it ${parts.length - 1} times`);
        contents = parts.join(instead);
      }
      return { contents, loader: "js" };
    }),
};

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.ts" },
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  alias: { zarrita: "./src/no_zarr.ts" },
  plugins: [changedNiivue],
  outdir: out,
  metafile: true,
  logLevel: "warning",
});
mkdirSync(out, { recursive: true });
copyFileSync(join(here, "src", "index.html"), join(out, "index.html"));
copyFileSync(join(here, "src", "app.css"), join(out, "app.css"));
writeFileSync(join(out, "THIRD_PARTY_LICENCES.txt"), licences(Object.keys(metafile.inputs)));

function licences(inputs) {
  const folders = new Set();
  for (const path of inputs) {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path);
    if (match) folders.add(match[1]);
  }
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
    const file = readdirSync(join(here, folder)).sort().find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
    const place = file ? join(here, folder, file) : join(here, "licences", `${name.replace("/", "_")}.txt`);
    return `${name} ${version} (${license})\n\n${readFileSync(place, "utf8").replace(/\r\n/g, "\n").trim()}\n`;
  });
  return `app.js holds these packages.\n\n${texts.join(`\n${"-".repeat(100)}\n\n`)}`;
}
