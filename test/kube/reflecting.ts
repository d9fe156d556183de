import type { ServerResponse } from "node:http";
import { fieldsOf } from "../../src/kube/raw.js";
import { reflect } from "../../src/kube/reflector.js";
import type { ReflectOptions } from "../../src/kube/reflector.js";
import { clientOf, half, json, realClock, statusBody } from "./support.js";
import type { Got, Handler, LogLine, TestServer } from "./support.js";
import type { Clock } from "../../src/ports/clock.js";

export interface Thing {
  readonly name: string;
  readonly resourceVersion: string;
}

export type Things = ReadonlyMap<string, Thing>;

export const thing = (name: string, version: number): unknown => ({ metadata: { namespace: "ns", name, resourceVersion: String(version) } });
export const list = (version: number, items: readonly unknown[], token?: string): unknown => ({ metadata: { resourceVersion: String(version), continue: token }, items });
export const line = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`;

function decode(raw: unknown): Thing | undefined {
  const metadata = fieldsOf(fieldsOf(raw)["metadata"]);
  if (metadata["broken"] === true) return undefined;
  return { name: String(metadata["name"]), resourceVersion: String(metadata["resourceVersion"]) };
}

export interface Running extends AsyncDisposable {
  readonly maps: Things[];
  readonly log: LogLine[];
  readonly done: Promise<unknown>;
  /** `name@version` of the newest map. */
  now(): readonly string[];
}

/** Reflects `/things` of the server until it is disposed. */
export function run(server: TestServer, options: Partial<ReflectOptions<Thing>> = {}, clock: Clock = realClock): Running {
  const test = clientOf(server, clock);
  const maps: Things[] = [];
  const stop = new AbortController();
  const all = { resource: "things", path: "/things", decode, changed: (map: Things) => void maps.push(map), ...options };
  const done = reflect(all, { client: test.client, clock, log: test.log, random: half }, stop.signal).then(
    () => "stopped",
    (error: unknown) => error,
  );
  return {
    maps,
    log: test.log.lines,
    done,
    now: () => [...(maps.at(-1) ?? [])].map(([key, value]) => `${key.replace("ns/", "")}@${value.resourceVersion}`),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
      await test[Symbol.asyncDispose]();
      await server.noneOpen();
    },
  };
}

/** Answers list and watch number n with step n; the last one stays. */
export function script(steps: { readonly list: readonly ((got: Got, response: ServerResponse) => void)[]; readonly watch: readonly ((got: Got, response: ServerResponse) => void)[] }): Handler & { readonly got: Got[] } {
  const got: Got[] = [];
  const counts = { list: 0, watch: 0 };
  const handler = (one: Got, response: ServerResponse): void => {
    got.push(one);
    const kind = one.query.get("watch") === null ? "list" : "watch";
    const step = steps[kind][Math.min(counts[kind], steps[kind].length - 1)];
    counts[kind] += 1;
    step?.(one, response);
  };
  return Object.assign(handler, { got });
}

export const answer =
  (body: unknown) =>
  (_got: Got, response: ServerResponse): void => {
    json(response, 200, body);
  };
export const refuse =
  (code: number, reason: string, headers = {}) =>
  (_got: Got, response: ServerResponse): void => {
    json(response, code, statusBody(code, reason, "no"), headers);
  };
/** Sends the lines and leaves the watch open. */
export const open =
  (...lines: readonly string[]) =>
  (_got: Got, response: ServerResponse): void => {
    response.writeHead(200);
    response.flushHeaders();
    for (const one of lines) response.write(one);
  };
export const queries = (got: readonly Got[]): readonly string[] =>
  got.map(({ query }) => (query.get("watch") === null ? `list ${query.get("continue") ?? ""}`.trimEnd() : `watch ${query.get("resourceVersion")}`));
export const warnings = (log: readonly LogLine[]): readonly unknown[] => log.filter((one) => one.level === "warn").map((one) => one.fields["reason"]);
