import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createLeases } from "../../src/kube/leases.js";
import type { Lease, Leases } from "../../src/ports/kube.js";
import { clientOf, half, realClock, serve } from "../kube/support.js";

const FOLDER = join(import.meta.dirname, "../golden/client-go");

/** A Lease as it is on the wire, in requests and answers. */
export interface WireLease {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly spec: Readonly<Record<string, unknown>> & { readonly holderIdentity: string; readonly renewTime: string };
}

/** A write that the API accepted, in the order of the resourceVersions. Times: whole ms since the start of the recording. */
export interface RecordedWrite {
  readonly elector: string;
  readonly method: "POST" | "PUT";
  readonly path: string;
  readonly started: number;
  readonly ended: number;
  readonly request: WireLease;
  readonly response: WireLease;
}

interface Line extends Partial<Omit<RecordedWrite, "started" | "method">> {
  readonly started: number;
  readonly method?: string;
  readonly status?: number;
  readonly note?: string;
}

export interface Recording {
  readonly writes: readonly RecordedWrite[];
  /** When something was noted: `b loses power`, `a leads` (each time that it happened). */
  noted(text: string): readonly number[];
}

/** Reads what the recorder wrote (test/golden/client-go/README.md). */
export function readRecording(name: string): Recording {
  const lines = readFileSync(join(FOLDER, `${name}.jsonl`), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as Line);
  const accepted = lines.filter(({ method, status = 0 }) => method !== undefined && method !== "GET" && status < 300);
  return {
    writes: (accepted as unknown as readonly RecordedWrite[]).map((write) => ({ ...write, started: Math.round(write.started), ended: Math.round(write.ended) })),
    noted: (text) => lines.filter(({ note }) => note === text).map(({ started }) => started),
  };
}

/** An API that answers a write as it answered client-go's write of the same turn: what was sent, with the metadata of that answer. */
export interface EchoApi extends AsyncDisposable {
  readonly leases: Leases;
  /** Bodies of the writes that came, with method and path, oldest first. */
  readonly got: readonly { readonly method: string; readonly path: string; readonly body: WireLease }[];
  /** The write that comes next is answered like this one. */
  expect(write: RecordedWrite): void;
  /** The Lease of an answer, as our own reader sees it. */
  decode(lease: WireLease): Promise<Lease>;
}

export async function echoApi(): Promise<EchoApi> {
  const got: { method: string; path: string; body: WireLease }[] = [];
  let turn: RecordedWrite | undefined;
  let stored: WireLease | undefined;
  const server = await serve(({ method, path, body }, response) => {
    if (method === "GET") return void response.writeHead(200).end(JSON.stringify(stored));
    const sent = JSON.parse(body) as WireLease;
    got.push({ method, path, body: sent });
    response.writeHead(method === "POST" ? 201 : 200).end(JSON.stringify({ ...sent, metadata: turn?.response.metadata }));
  });
  const { client, log, [Symbol.asyncDispose]: close } = clientOf(server);
  const leases = createLeases({ client, clock: realClock, log, random: half });
  return {
    leases,
    got,
    expect: (write) => void (turn = write),
    decode: async (lease) => {
      stored = lease;
      const { namespace, name } = lease.metadata;
      const read = await leases.get({ namespace, name }, 5000, new AbortController().signal);
      if (read === undefined) throw new Error(`the API has no Lease ${namespace}/${name}`);
      return read;
    },
    [Symbol.asyncDispose]: async () => {
      await close();
      await server[Symbol.asyncDispose]();
    },
  };
}
