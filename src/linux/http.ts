import http from "node:http";
import type { Clock } from "../ports/clock.js";
import type { Http, HttpAnswer, HttpErrorCode, HttpErrorShape, HttpRequest } from "../ports/http.js";

/** Message `POST http://192.0.2.1:5000/ctl: ECONNREFUSED`. */
export class HttpError extends Error implements HttpErrorShape {
  override readonly name = "HttpError";

  constructor(
    readonly code: HttpErrorCode,
    { method, url }: HttpRequest,
    what: string,
    options?: ErrorOptions,
  ) {
    super(`${method} ${url}: ${what}`, options);
  }
}

/** Requests over node:http, a connection for each: routers keep few, and a kept one does not survive their restart. */
export function createHttp({ clock }: { readonly clock: Clock }): Http {
  return {
    request: async (request, signal) => {
      signal.throwIfAborted();
      const late = new AbortController();
      const timer = clock.after(request.timeoutMs, () => late.abort());
      try {
        return await exchange(request, AbortSignal.any([signal, late.signal]));
      } catch (error) {
        // Aborted is not failed.
        signal.throwIfAborted();
        if (error instanceof HttpError) throw error;
        if (late.signal.aborted) throw new HttpError("timeout", request, `no whole answer within ${request.timeoutMs} ms`);
        throw new HttpError("network", request, (error as NodeJS.ErrnoException).code ?? String(error), { cause: error });
      } finally {
        timer.cancel();
      }
    },
  };
}

async function exchange(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  const { url, method, headers, body, from } = request;
  return await new Promise((resolve, reject) => {
    const sent = http.request(
      url,
      {
        method,
        agent: false,
        signal,
        headers: { ...headers, connection: "close", ...(method === "POST" ? { "content-length": Buffer.byteLength(body) } : {}) },
        ...(from === undefined ? {} : { localAddress: from }),
      },
      (response) => {
        const parts: Buffer[] = [];
        let length = 0;
        response.on("data", (part: Buffer) => {
          length += part.length;
          if (length > request.limit) response.destroy(new HttpError("size", request, `an answer of more than ${request.limit} octets`));
          else parts.push(part);
        });
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString("utf8"), location: response.headers.location }));
      },
    );
    sent.on("error", reject);
    sent.end(method === "POST" ? body : undefined);
  });
}
