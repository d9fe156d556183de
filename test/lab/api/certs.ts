import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Certificates and keys, as PEM. */
export type Certs = { readonly ca: string; readonly serverCert: string; readonly serverKey: string; readonly adminCert: string; readonly adminKey: string };

type Leaf = { readonly name: string; readonly subject: string; readonly extensions: readonly string[] };

const EC_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

async function openssl(dir: string, args: readonly string[]): Promise<void> {
  await run("openssl", args, { cwd: dir });
}

async function makeLeaf(dir: string, leaf: Leaf): Promise<void> {
  const extensions = leaf.extensions.flatMap((extension) => ["-addext", extension]);
  await openssl(dir, ["req", "-x509", ...EC_KEY, "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "3650", "-subj", leaf.subject, "-addext", "basicConstraints=critical,CA:FALSE", ...extensions, "-keyout", `${leaf.name}.key`, "-out", `${leaf.name}.crt`]);
}

/** Makes the CA, the server certificate for the hosts and the certificate of the administrator; an existing CA is kept, so that clients survive a restart. */
export async function makeCerts(dir: string, hosts: readonly string[]): Promise<Certs> {
  await mkdir(dir, { recursive: true });
  const read = async (name: string): Promise<string> => await readFile(join(dir, name), "utf8");
  const have = await read("ca.key").catch(() => "");
  if (have === "") await openssl(dir, ["req", "-x509", ...EC_KEY, "-days", "3650", "-subj", "/CN=lab-ca", "-keyout", "ca.key", "-out", "ca.crt"]);
  const names = [...new Set([...hosts, "127.0.0.1", "::1", "10.96.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"])];
  const san = names.map((name) => (isIP(name) === 0 ? `DNS:${name}` : `IP:${name}`)).join(",");
  await Promise.all([
    makeLeaf(dir, { name: "server", subject: "/CN=kube-apiserver", extensions: [`subjectAltName=${san}`, "extendedKeyUsage=serverAuth"] }),
    makeLeaf(dir, { name: "admin", subject: "/O=system:masters/CN=kubernetes-admin", extensions: ["extendedKeyUsage=clientAuth"] }),
  ]);
  return { ca: await read("ca.crt"), serverCert: await read("server.crt"), serverKey: await read("server.key"), adminCert: await read("admin.crt"), adminKey: await read("admin.key") };
}

/** How a kubeconfig says who one is. */
export type Credentials = { readonly token: string } | { readonly cert: string; readonly key: string };

/** A kubeconfig with everything inside. */
export function kubeconfig(server: string, ca: string, credentials: Credentials): string {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const user = "token" in credentials ? [`token: ${credentials.token}`] : [`client-certificate-data: ${base64(credentials.cert)}`, `client-key-data: ${base64(credentials.key)}`];
  return [
    "apiVersion: v1",
    "kind: Config",
    "current-context: lab",
    "clusters:",
    "- name: lab",
    "  cluster:",
    `    server: ${server}`,
    `    certificate-authority-data: ${base64(ca)}`,
    "users:",
    "- name: lab",
    "  user:",
    ...user.map((line) => `    ${line}`),
    "contexts:",
    "- name: lab",
    "  context:",
    "    cluster: lab",
    "    user: lab",
    "",
  ].join("\n");
}

/** Writes a file readable by its owner only, whole or not at all. */
export async function writePrivate(path: string, text: string): Promise<void> {
  await rm(path, { force: true });
  await writeFile(path, text, { mode: 0o600 });
}
