import type { Service } from "../ports/kube.js";
import type { ExplainInput } from "./explain-input.js";
import type { LeaseReport } from "./explain-leases.js";
import type { RouteReport } from "./explain-routes.js";
import type { ApiReport, OwnershipReport, VipReport } from "./explain.js";
import type { ServiceKey } from "./model.js";
import type { SkipReason } from "./plan-service.js";

/** One Service with everything that is known about it here. */
export interface ServiceView {
  readonly input: ExplainInput;
  readonly key: ServiceKey;
  readonly service: Service;
  /** Its addresses that this node wants to hold. */
  readonly vips: readonly VipReport[];
  /** Routes to its addresses that this node wants to announce. */
  readonly routes: readonly RouteReport[];
  /** What this node asks of DHCP servers for it. */
  readonly leases: readonly LeaseReport[];
  readonly skip: SkipReason | undefined;
  readonly ownership: OwnershipReport;
  readonly api: ApiReport;
}

/** What a rule that `plan` did not refuse by saw. */
export interface Seen {
  readonly outcome: "passed" | "pending" | "refused";
  readonly text: string;
  readonly next?: string;
}
