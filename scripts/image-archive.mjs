// An OCI image archive from files in memory, the same bytes for the same files: no time, no user and no order of the machine gets in.
// What it writes: OCI image layout 1.1 in a tar, with the manifest.json beside it that `docker load` wants. Plain JavaScript without dependencies.
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const compress = promisify(gzip);
const BLOCK = 512;
const DIRECTORY = "5";
const FILE = "0";
const MEDIA = "application/vnd.oci.image";

/** POSIX ustar header: octal numbers in text, and a checksum over itself with the checksum's field as spaces. */
function header({ path, mode, size, type }) {
  if (Buffer.byteLength(path) > 100) throw new Error(`image: the path ${path} is longer than 100 bytes`);
  const bytes = Buffer.alloc(BLOCK);
  const octal = (value, at, length) => bytes.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  bytes.write(path, 0, "utf8");
  octal(mode, 100, 8);
  octal(0, 108, 8); // user
  octal(0, 116, 8); // group
  octal(size, 124, 12);
  octal(0, 136, 12); // time: 1970-01-01
  bytes.write("        ", 148, "latin1");
  bytes.write(type, 156, "latin1");
  bytes.write("ustar\x0000", 257, "latin1");
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

/** All folders above the files, the upper ones first. */
function foldersOf(files) {
  const folders = new Set();
  for (const { path } of files) {
    for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) folders.add(path.slice(0, at + 1));
  }
  return [...folders].map((path) => ({ path, bytes: Buffer.alloc(0), type: DIRECTORY, mode: 0o755 }));
}

/** A tar of files, given as { path, bytes, executable }, with the folders above them. Paths are relative; their order does not matter. */
export function tarOf(files) {
  const entries = [...foldersOf(files), ...files.map((file) => ({ ...file, type: FILE, mode: file.executable ? 0o755 : 0o644 }))];
  const names = new Set(entries.map(({ path }) => path));
  if (names.size !== entries.length) throw new Error("image: two files have the same path");
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  const parts = entries.flatMap(({ path, bytes, type, mode }) => [
    header({ path, mode, size: bytes.length, type }),
    bytes,
    Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function digestOf(bytes) {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** What refers to a blob, with the blob itself. */
function blobOf(mediaType, bytes) {
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

function jsonBlob(mediaType, value) {
  return blobOf(mediaType, Buffer.from(JSON.stringify(value)));
}

async function layerOf(files) {
  const tar = tarOf(files);
  return { diffId: digestOf(tar), blob: blobOf(`${MEDIA}.layer.v1.tar+gzip`, await compress(tar)) };
}

/** OCI's names of architectures are Go's. */
const PLATFORMS = {
  x64: { architecture: "amd64", os: "linux" },
  arm64: { architecture: "arm64", os: "linux", variant: "v8" },
};

/** One image: its blobs, and the descriptor of its manifest. `layers` are lists of files, the lowest first. */
async function imageOf({ arch, layers, config, labels }) {
  const made = await Promise.all(layers.map(layerOf));
  const configBlob = jsonBlob(`${MEDIA}.config.v1+json`, {
    created: "1970-01-01T00:00:00Z",
    ...PLATFORMS[arch],
    config: { ...config, Labels: labels },
    rootfs: { type: "layers", diff_ids: made.map(({ diffId }) => diffId) },
    history: made.map(() => ({ created: "1970-01-01T00:00:00Z", created_by: "npm run image" })),
  });
  const layerBlobs = made.map(({ blob }) => blob);
  const manifest = jsonBlob(`${MEDIA}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${MEDIA}.manifest.v1+json`,
    config: configBlob.descriptor,
    layers: layerBlobs.map(({ descriptor }) => descriptor),
    annotations: labels,
  });
  return { arch, blobs: [manifest, configBlob, ...layerBlobs], config: configBlob, layers: layerBlobs, descriptor: { ...manifest.descriptor, platform: PLATFORMS[arch] } };
}

function blobPath({ descriptor }) {
  return `blobs/${descriptor.digest.replace(":", "/")}`;
}

/** For Docker without containerd's image store, which knows no index: one entry for each architecture, the plain name for the first. */
function dockerManifest(images, name) {
  return images.map(({ arch, config, layers }, index) => ({
    Config: blobPath(config),
    RepoTags: [...(index === 0 ? [name] : []), `${name}-${PLATFORMS[arch].architecture}`],
    Layers: layers.map(blobPath),
  }));
}

/**
 * The archive of an image for one or more architectures: { archive, digest }, the digest being that of the index, which names the image in a registry.
 * `name` is what the image will be called, as in localhost/vip:1.2.3; `images` is a list of { arch, layers }, each layer a list of { path, bytes, executable };
 * `config` is that of the OCI image configuration (Entrypoint, Env ...), `labels` are for it and for the manifests.
 */
export async function archiveOf({ name, images, config, labels }) {
  const made = await Promise.all(images.map(({ arch, layers }) => imageOf({ arch, layers, config, labels })));
  const index = jsonBlob(`${MEDIA}.index.v1+json`, {
    schemaVersion: 2,
    mediaType: `${MEDIA}.index.v1+json`,
    manifests: made.map(({ descriptor }) => descriptor),
    annotations: labels,
  });
  // containerd takes the full name from the one annotation, podman and skopeo from the other.
  const annotations = { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name };
  const layout = { schemaVersion: 2, mediaType: `${MEDIA}.index.v1+json`, manifests: [{ ...index.descriptor, annotations }] };
  const texts = [
    ["oci-layout", { imageLayoutVersion: "1.0.0" }],
    ["index.json", layout],
    ["manifest.json", dockerManifest(made, name)],
  ];
  const blobs = new Map([index, ...made.flatMap((image) => image.blobs)].map((blob) => [blobPath(blob), blob.bytes]));
  const files = [...texts.map(([path, value]) => [path, Buffer.from(JSON.stringify(value))]), ...blobs];
  return { archive: tarOf(files.map(([path, bytes]) => ({ path, bytes }))), digest: index.descriptor.digest };
}
