import type { KubeErrorCode } from "../../src/ports/kube.js";

const STATUS: Readonly<Partial<Record<KubeErrorCode, number>>> = { conflict: 409, alreadyExists: 409, forbidden: 403, invalid: 422 };

/** What the ports of the API throw. */
export function refused(code: KubeErrorCode, text: string = code): Error {
  return Object.assign(new Error(text), { code, status: STATUS[code] ?? 0 });
}
