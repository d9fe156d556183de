// Bundles the programs of the test lab (test/lab/programs/*.ts, the API server, the demo), each to one file in dist/lab/.
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Returns what is bundled: the name in dist/lab without its ending, and the source. */
export function labPrograms() {
  const dir = join(root, "test/lab/programs");
  const programs = {};
  for (const file of existsSync(dir) ? readdirSync(dir).sort() : []) {
    if (file.endsWith(".ts") && !file.endsWith(".test.ts")) programs[file.slice(0, -3)] = join(dir, file);
  }
  const more = { api: "api/main.ts", demo: "demo/main.ts", "demo-client": "demo/client.ts" };
  for (const [name, path] of Object.entries(more)) {
    const source = join(root, "test/lab", path);
    if (existsSync(source)) programs[name] = source;
  }
  return programs;
}

/** Writes OUTDIR/NAME.mjs for every program, given as { NAME: source }. */
export async function bundlePrograms(programs, outdir) {
  const { build } = await import("esbuild");
  await build({
    entryPoints: Object.entries(programs).map(([out, source]) => ({ in: source, out })),
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node26",
    sourcemap: "inline",
    logLevel: "warning",
    // Packages written for CommonJS call require() of what Node has built in.
    banner: { js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);' },
  });
}

/** Writes dist/lab/<program>.mjs for every program; returns their names. */
export async function bundleLab() {
  const programs = labPrograms();
  await bundlePrograms(programs, join(root, "dist/lab"));
  return Object.keys(programs);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const names = await bundleLab();
  console.log(`bundled ${names.join(", ")} into dist/lab`);
}
