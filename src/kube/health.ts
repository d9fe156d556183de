import { readFile } from "node:fs/promises";
import http, { type ClientRequest, type IncomingMessage } from "node:http";
import https from "node:https";
import { isIPv4 } from "node:net";
import { messageOf } from "../lib/errors.js";
import type { HealthProbe, HealthResult } from "../ports/health.js";
import { hostOf } from "./config.js";

export interface HealthCheckConfig {
  /** http or https. */
  readonly url: string;
  /** PEM file of the CA that signed the server's certificate. */
  readonly caPath: string | undefined;
  /**
   * True where the URL is our own choice, not the operator's: then 401 and 403 count as healthy. They come from a running API server that tells
   * anonymous nothing (`--anonymous-auth=false`, as hardening guides ask for); a check that nobody asked for must not take the VIP away there.
   */
  readonly refusalCounts?: boolean;
  /** Tried for loopback addresses where no CA is named. Default: where kubeadm puts it. */
  readonly kubeadmCaPath?: string;
}

const KUBEADM_CA = "/etc/kubernetes/pki/ca.crt";
/** As much of an answer is read; the rest is of no interest. */
const BODY_LIMIT = 16_384;
/** As much of an answer goes into a reason. */
const TEXT_LIMIT = 200;

/** Asks an API server by HTTP(S) whether it is well: 200 is, anything else is not. No credentials are sent, redirects are not followed. */
export function createHealthProbe(config: HealthCheckConfig): HealthProbe {
  const url = new URL(config.url);
  // Without user, password and query: this text goes into logs.
  const what = `GET ${url.origin}${url.pathname}`;
  return {
    check: async (signal) => {
      signal.throwIfAborted();
      try {
        const tls = url.protocol === "https:" ? await trust(url, config) : {};
        const { status, text } = await ask(url, tls, signal);
        return verdict(status, `${what}: ${status}${text === "" ? "" : `: ${text}`}`, config);
      } catch (error) {
        // Aborted is not failed.
        if (signal.aborted) throw signal.reason;
        return { healthy: false, reason: `${what}: ${textOf(error)}` };
      }
    },
  };
}

function verdict(status: number, reason: string, { refusalCounts = false }: HealthCheckConfig): HealthResult {
  if (status === 200) return { healthy: true, reason };
  if (refusalCounts && (status === 401 || status === 403)) {
    return { healthy: true, reason: `${reason}: it runs, but tells anonymous nothing; set control_plane_health_check_address for a real check` };
  }
  return { healthy: false, reason };
}

/**
 * What the server's certificate has to stand up to. On loopback only the chain counts, not the name: kubeadm's certificate names no loopback
 * address, and who answers there is this machine whatever it says. Without a CA nothing is checked on loopback, and only there: nothing
 * secret is sent, the traffic does not leave the machine, and a local process that poses as the API server could at most keep the VIP here.
 */
async function trust(url: URL, config: HealthCheckConfig): Promise<https.RequestOptions> {
  const loopback = isLoopback(hostOf(url));
  const anyName = loopback ? { checkServerIdentity: () => undefined } : {};
  // Read for each check: a CA that is replaced counts at once.
  if (config.caPath !== undefined) return { ca: await readFile(config.caPath), ...anyName };
  if (!loopback) return {};
  try {
    return { ca: await readFile(config.kubeadmCaPath ?? KUBEADM_CA), ...anyName };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return { rejectUnauthorized: false };
  }
}

/** The host of a URL is in its normal form: `127.1` has become 127.0.0.1. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A connection of its own for each request: it also shows that the server still accepts one. Gone when this returns. */
async function ask(url: URL, tls: https.RequestOptions, signal: AbortSignal): Promise<Answer> {
  const headers = { accept: "*/*", connection: "close", "user-agent": "vip-health" };
  const request = (url.protocol === "https:" ? https : http).request(url, { ...tls, agent: false, headers, signal });
  try {
    request.end();
    const response = await headOf(request);
    return { status: response.statusCode ?? 0, text: shortened(await bodyOf(response)) };
  } finally {
    request.destroy();
  }
}

async function headOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once("response", resolve);
    // Stays: an error after the head is the business of the response, but without a listener here it would end the process.
    request.on("error", reject);
  });
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    parts.push(part);
    length += part.length;
    if (length >= BODY_LIMIT) break;
  }
  return Buffer.concat(parts, length).toString("utf8", 0, BODY_LIMIT);
}

/** The API server lists its checks, one a line; `[-]` marks the failed ones. */
function shortened(body: string): string {
  const lines = body.split("\n").map((line) => line.trim());
  const failed = lines.filter((line) => line.startsWith("[-]"));
  return (failed.length > 0 ? failed.join(", ") : (lines[0] ?? "")).slice(0, TEXT_LIMIT);
}

/** `localhost` may fail once per address: such an error has a code, and no text of its own. */
function textOf(error: unknown): string {
  const text = messageOf(error);
  return text === "" ? ((error as NodeJS.ErrnoException).code ?? "failed") : text;
}
