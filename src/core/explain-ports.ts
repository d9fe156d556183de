import { assertNever } from "../lib/errors.js";
import type { ExplainInput } from "./explain-input.js";
import type { Mapping, MappingView, ServiceKey } from "./model.js";

/** One port that is asked of a gateway. */
export interface PortReport {
  readonly services: readonly ServiceKey[];
  readonly address: string;
  /** `32380/TCP`. */
  readonly port: string;
  readonly state: MappingView["status"]["kind"];
  /** `198.51.100.1:32380`; null while it is not open, or the gateway has no address. */
  readonly external: string | null;
  /** Name of the gateway; null where none answers. */
  readonly gateway: string | null;
  /** Why it is not open; null where it is. */
  readonly why: string | null;
}

/** All ports that this node asks gateways for. */
export function portReports({ world, plan }: ExplainInput): readonly PortReport[] {
  return [...plan.wants.upnp.values()].map((mapping) => portReport(mapping, world.mappings.get(mapping.key)));
}

function portReport({ owners, address, port, protocol }: Mapping, view: MappingView | undefined): PortReport {
  const status = view?.status ?? { kind: "asking" };
  const outside = view?.gateway?.externalAddress;
  const external = status.kind === "mapped" && outside !== undefined ? `${outside.includes(":") ? `[${outside}]` : outside}:${status.externalPort}` : null;
  return { services: owners, address, port: `${port}/${protocol}`, state: status.kind, external, gateway: view?.gateway?.name ?? null, why: whyOf(status, view?.reason) };
}

function whyOf(status: MappingView["status"], reason: string | undefined): string | null {
  switch (status.kind) {
    case "mapped":
      return null;
    case "asking":
      return "being asked for";
    case "noGateway":
      return `no gateway that opens ports answers${reason === undefined ? "" : ` (${reason})`}`;
    case "refused":
      return `refused by the gateway: ${status.code} ${status.text}`;
    case "unreachable":
      return status.reason;
    case "removed":
      return "closed";
    default:
      return assertNever(status);
  }
}
