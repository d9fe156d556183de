/** Names that reach the world outside; only the code around the core may use them. */
export type Effect = "node" | "timers" | "process" | "buffer" | "turn";

export interface Layer {
  /** Folders of src/, or files of it where only those are meant. Its own folder is always allowed. */
  readonly imports: readonly string[] | "all";
  /** npm packages, each with what it is for. */
  readonly packages: Readonly<Record<string, string>>;
  readonly effects: readonly Effect[];
  readonly reason: string;
}

/** The layers, from the inside to the outside. The key is a folder of src/, or a file of it. */
export const LAYERS: Readonly<Record<string, Layer>> = {
  lib: {
    imports: [],
    packages: { "ip-address": "parsing and RFC 5952 text of IPv6 addresses" },
    effects: [],
    reason: "lib is what everything else stands on: it knows nothing of this program and does nothing but compute",
  },
  wire: {
    imports: ["lib"],
    packages: { saxes: "XML of routers: strict, without entities of their own, no I/O" },
    effects: [],
    reason: "a codec turns values into bytes and back: it never logs, waits, or knows who called, so that it is tested with bytes alone",
  },
  machine: {
    imports: ["lib", "wire"],
    packages: {},
    effects: [],
    reason: "a protocol rule gets time and events as arguments and gives actions back, so that every moment can be tested without waiting for it",
  },
  ports: { imports: ["lib"], packages: {}, effects: [], reason: "a port says what is needed, not how it is done: types only" },
  config: {
    imports: ["lib"],
    packages: { "js-yaml": "the text of the config file" },
    effects: [],
    reason: "settings are a function of texts: where these come from (environment, flags) is the business of main",
  },
  core: {
    imports: ["lib", "ports", "config", "machine"],
    packages: {},
    effects: [],
    reason: "what this node should hold follows from the World alone; sockets and bytes reach the core only through ports",
  },
  modes: {
    imports: ["lib", "wire", "machine", "ports", "core/model", "core/mode"],
    packages: {},
    effects: [],
    reason: "a mode is a plugin: it knows the contract (core/mode, core/model) and not the engine that calls it",
  },
  kube: {
    imports: ["lib", "ports"],
    packages: {
      "@kubernetes/client-node": "kubeconfig and credentials; nothing of its generated API",
      "js-yaml": "the kubeconfig as text, before client-node reads it",
    },
    effects: ["node", "process", "buffer", "turn"],
    reason: "kube implements ports/kube over HTTPS, and nothing else depends on how",
  },
  linux: {
    imports: ["lib", "wire", "ports"],
    packages: {},
    effects: ["node", "timers", "buffer", "turn"],
    reason: "linux implements the other ports with sockets and system calls, and nothing else depends on how",
  },
  cli: {
    imports: "all",
    packages: { pino: "JSON log lines on stdout", "js-yaml": "manifests, as text", "prom-client": "metrics as Prometheus reads them" },
    effects: ["node", "process", "buffer", "turn"],
    reason: "commands build things and wire them together; this is the only place that knows all of them",
  },
  "main.ts": {
    imports: "all",
    packages: { commander: "the command line" },
    effects: ["node", "process"],
    reason: "main turns arguments into a command and ends the process",
  },
};

/** Folder of src/ (or file, for what lies in src/ itself); undefined outside of src/. */
export function layerOf(path: string): string | undefined {
  return /^src\/([^/]+)/.exec(path)?.[1];
}
