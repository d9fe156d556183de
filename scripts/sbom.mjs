// dist/vip.cdx.json: what is inside of dist/vip, as a CycloneDX 1.5 bill of materials. Plain JavaScript without dependencies.
import { createHash } from "node:crypto";

const FOLDER = "node_modules/";
const byText = (a, b) => (a < b ? -1 : 1);

/** The key in package-lock.json of the package that a bundled file belongs to; undefined for a file of our own. */
export function lockKeyOf(path) {
  const first = path.indexOf(FOLDER);
  if (first === -1) return undefined;
  const last = path.lastIndexOf(FOLDER) + FOLDER.length;
  const [scope, name] = path.slice(last).split("/");
  return path.slice(first, last) + (scope.startsWith("@") ? `${scope}/${name}` : scope);
}

/** The keys of all packages of which esbuild kept at least a byte. What was shaken off is not in the program, so it is not in the bill. */
export function bundledPackages(metafile) {
  const kept = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0));
  return [...new Set(kept.map(([path]) => lockKeyOf(path)).filter((key) => key !== undefined))].sort(byText);
}

function nameOf(key) {
  return key.slice(key.lastIndexOf(FOLDER) + FOLDER.length);
}

/** A package URL: the @ of a scope is escaped, its slash is not. */
function npmUrl(name, version) {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

function hashOf(integrity) {
  const [algorithm, text] = integrity.split("-", 2);
  if (algorithm !== "sha512") throw new Error(`an integrity of ${algorithm} where sha512 was expected`);
  return { alg: "SHA-512", content: Buffer.from(text, "base64").toString("hex") };
}

function licenseOf(text) {
  return /^[\w.+-]+$/.test(text) ? { license: { id: text } } : { expression: text };
}

function npmComponent(lock, key) {
  const { version, license, integrity, name = nameOf(key) } = lock.packages[key] ?? {};
  if (version === undefined || license === undefined || integrity === undefined) {
    throw new Error(`sbom: package-lock.json has no version, license or integrity of ${key}, which is bundled`);
  }
  const url = npmUrl(name, version);
  return { type: "library", "bom-ref": key, name, version, licenses: [licenseOf(license)], hashes: [hashOf(integrity)], purl: url };
}

/** Where `from` finds a dependency, as Node looks it up: in its own folder, then in those above. */
function resolveKey(lock, from, dependency) {
  for (let at = from; ; at = at.slice(0, Math.max(at.lastIndexOf(`/${FOLDER}`), 0))) {
    const key = `${at === "" ? "" : `${at}/`}${FOLDER}${dependency}`;
    if (key in lock.packages) return key;
    if (at === "") return undefined;
  }
}

function dependsOn(lock, key, bundled) {
  const found = Object.keys(lock.packages[key].dependencies ?? {}).map((name) => resolveKey(lock, key, name));
  return found.filter((one) => bundled.includes(one)).sort(byText);
}

// What process.versions names that is no software: tables, interfaces, and what was left out of this Node.
const NO_SOFTWARE = new Set(["node", "modules", "napi", "unicode", "cldr", "tz"]);

/** Node, with the libraries that are linked into it: `versions` is its process.versions. */
function nodeComponent(versions, packages) {
  const libraries = Object.entries(versions).filter(([name, version]) => !NO_SOFTWARE.has(name) && version !== "");
  return {
    type: "platform",
    "bom-ref": "node",
    name: "node",
    version: versions.node,
    licenses: [{ license: { id: "MIT" } }],
    purl: `pkg:generic/node@${versions.node}`,
    externalReferences: packages.map(({ name, integrity }) => ({
      type: "distribution",
      url: `https://registry.npmjs.org/${name}/-/${name}-${versions.node}.tgz`,
      hashes: [hashOf(integrity)],
    })),
    components: libraries.sort(([a], [b]) => byText(a, b)).map(([name, version]) => ({ type: "library", "bom-ref": `node/${name}`, name, version })),
  };
}

/** A serial number that is the same for the same contents. Its version and variant bits are those of RFC 9562 5.8: a UUID of one's own making. */
function serialNumber(contents) {
  const bytes = createHash("sha256").update(contents).digest().subarray(0, 16);
  bytes[6] = (bytes[6] & 0x0f) | 0x80;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return `urn:uuid:${bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")}`;
}

/**
 * The bill as an object. `metafile` is esbuild's, `lock` and `manifest` are package-lock.json and package.json, `versions` is process.versions of the Node that is
 * built in, `nodePackages` the npm packages that it comes from. It has no time in it: the same input gives the same bytes.
 */
export function billOfMaterials({ metafile, lock, manifest, versions, nodePackages }) {
  const bundled = bundledPackages(metafile);
  const self = { type: "application", "bom-ref": "vip", name: manifest.name, version: manifest.version, description: manifest.description, licenses: [licenseOf(manifest.license)] };
  const direct = Object.keys(manifest.dependencies).map((name) => `${FOLDER}${name}`).filter((key) => bundled.includes(key));
  const components = [nodeComponent(versions, nodePackages), ...bundled.map((key) => npmComponent(lock, key))];
  const dependencies = [
    { ref: "vip", dependsOn: ["node", ...direct] },
    { ref: "node", dependsOn: [] },
    ...bundled.map((key) => ({ ref: key, dependsOn: dependsOn(lock, key, bundled) })),
  ];
  const body = { version: 1, metadata: { component: self }, components, dependencies };
  return { $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json", bomFormat: "CycloneDX", specVersion: "1.5", serialNumber: serialNumber(JSON.stringify(body)), ...body };
}
