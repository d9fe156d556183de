import type { Settings } from "../config/settings.js";

/** An object of the API by `name` or `namespace/name`; without a namespace it is in that of the Leases. */
export function namedObject(text: string, { controlPlaneNamespace = "kube-system" }: Pick<Settings, "controlPlaneNamespace">): { readonly namespace: string; readonly name: string } {
  const [first = "", second] = text.split("/");
  return second === undefined ? { namespace: controlPlaneNamespace, name: first } : { namespace: first, name: second };
}
