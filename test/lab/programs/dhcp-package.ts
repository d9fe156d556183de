// dhcp-package.mjs {"server","range","leaseTime","renewalTime","rebindingTime"}: the DHCP server of the package `dhcp`, which shares nothing with ours.
// Says each message that it hears as one line of JSON (PackageMessage). It has no types, and its libraries are loaded only here.
import { createRequire } from "node:module";

/** A message as the package reads it. */
export interface PackageMessage {
  /** Option 53: 1 DISCOVER, 3 REQUEST, 7 RELEASE and so on. */
  readonly type: number;
  readonly mac: string;
  readonly ciaddr: string;
  readonly hostname: string | undefined;
  /** Option 61 in hex; the package reads it as ASCII, so that octets above 127 and whatever follows a zero are lost. */
  readonly clientId: string;
}

/** What it is told. Times in seconds. */
export interface PackageConfig {
  readonly server: string;
  readonly range: readonly [first: string, last: string];
  readonly leaseTime: number;
  readonly renewalTime: number;
  readonly rebindingTime: number;
}

interface Parsed {
  readonly chaddr: string;
  readonly ciaddr: string;
  readonly options: Readonly<Record<number, unknown>>;
}

interface DhcpServer {
  on(event: "message", listener: (message: Parsed) => void): void;
  on(event: "error", listener: (error: unknown) => void): void;
  listen(port: number, host: string, done: () => void): void;
}

interface DhcpPackage {
  createServer(config: unknown): DhcpServer;
}

const config = JSON.parse(process.argv[2] ?? "{}") as PackageConfig;
const server = (createRequire(import.meta.url)("dhcp") as DhcpPackage).createServer({ ...config, netmask: "255.255.255.0", broadcast: "255.255.255.255", router: ["10.77.0.1"], dns: ["10.77.0.1"], randomIP: false, static: {} });

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

server.on("message", ({ chaddr, ciaddr, options }) => {
  const said: PackageMessage = {
    type: Number(options[53]),
    mac: chaddr.toLowerCase().replaceAll("-", ":"),
    ciaddr,
    hostname: text(options[12]) || undefined,
    clientId: Buffer.from(text(options[61]), "latin1").toString("hex"),
  };
  console.log(JSON.stringify(said));
});
// Options that it does not know, among others.
server.on("error", (error) => console.error(String(error)));
server.listen(67, "0.0.0.0", () => console.log("ready"));
