import { FIELD_MANAGER } from "./client.js";
import { fieldsOf, itemsOf, textOf } from "./raw.js";

/**
 * Who but us wrote `status.loadBalancer` last, by metadata.managedFields; undefined where none is recorded. A writer that was replaced is not
 * listed any more: the API server takes a field from its earlier manager when another one sets it to a new value.
 */
export function statusManagerOf(managedFields: unknown): string | undefined {
  let newest: { readonly manager: string; readonly time: number } | undefined;
  for (const entry of itemsOf(managedFields)) {
    const fields = fieldsOf(entry);
    const manager = textOf(fields["manager"]);
    if (manager === undefined || isOurs(manager) || !ownsStatus(fields["fieldsV1"])) continue;
    const time = Date.parse(textOf(fields["time"]) ?? "") || 0;
    // Whole seconds: of two in the same one the later entry counts, since the API server sorts them by time.
    if (newest === undefined || time >= newest.time) newest = { manager, time };
  }
  return newest?.manager;
}

function ownsStatus(fieldsV1: unknown): boolean {
  return fieldsOf(fieldsOf(fieldsV1)["f:status"])["f:loadBalancer"] !== undefined;
}

/** Before we named ourselves the API server took the user agent up to a slash: `vip (node-1)`. */
function isOurs(manager: string): boolean {
  return manager === FIELD_MANAGER || manager.startsWith(`${FIELD_MANAGER} (`);
}
