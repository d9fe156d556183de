import type { Mapping } from "../core/model.js";
import type { IpAddress } from "../lib/ip.js";
import type { PcpPace } from "../machine/pcp-exchange.js";
import { hashText } from "../machine/placement.js";
import type { PcpPath } from "../ports/pcp.js";
import { decodeNatPmp, encodeNatPmpMap, NAT_PMP_RESULT, NAT_PMP_VERSION, natPmpResultText } from "../wire/nat-pmp.js";
import { answersMap, decodePcp, encodePcpMap, PCP_NONCE_LENGTH, PCP_RESULT, PCP_VERSION, pcpResultText } from "../wire/pcp.js";
import { Writer } from "../wire/writer.js";
import { exchange, type PcpExchangeDeps } from "./upnp-pcp-exchange.js";
import type { MapAnswer } from "./upnp-router.js";

/** One port, as it is asked for. A lifetime of 0 takes it away. */
export interface PortAsk {
  readonly want: Mapping;
  readonly path: PcpPath;
  readonly pace: PcpPace;
  readonly externalPort: number;
  /** s. */
  readonly lifetime: number;
}

/** What the router said, of the port and of itself. */
export interface PortAnswer {
  readonly answer: MapAnswer;
  readonly epoch: number;
  readonly externalAddress: IpAddress | undefined;
}

/** RFC 6887 7.4: errors that pass, and those that stay. */
const LEAST_AGAIN = 30;
const MOST_AGAIN = 1800;

/** RFC 6887 11.1. Throws RouterError. */
export async function askPcp({ want, path, pace, externalPort, lifetime }: PortAsk, deps: PcpExchangeDeps, signal: AbortSignal): Promise<PortAnswer> {
  const asked = { client: path.from, lifetime, nonce: nonceOf(want), protocol: want.protocol, internalPort: want.port, externalPort };
  const accept = (bytes: Uint8Array): PortAnswer | undefined => {
    if (bytes[0] !== PCP_VERSION) return undefined;
    const { result, lifetime: given, epoch, body } = decodePcp(bytes);
    if (body.type === "announce" || (body.type === "map" && !answersMap(body.map, asked))) return undefined;
    if (result !== PCP_RESULT.success) {
      const againSeconds = Math.min(MOST_AGAIN, Math.max(LEAST_AGAIN, given));
      return { answer: { type: "refused", refusal: "other", code: result, text: pcpResultText(result), againSeconds }, epoch, externalAddress: undefined };
    }
    if (body.type !== "map") return undefined;
    return { answer: mapped(body.map.externalPort, given), epoch, externalAddress: lifetime === 0 ? undefined : body.map.externalAddress };
  };
  return await exchange({ path, pace, datagrams: [encodePcpMap(asked)], accept }, deps, signal);
}

/** RFC 6886 3.3. Throws RouterError. */
export async function askNatPmp({ want, path, pace, externalPort, lifetime }: PortAsk, deps: PcpExchangeDeps, signal: AbortSignal): Promise<PortAnswer> {
  const { protocol, port: internalPort } = want;
  const accept = (bytes: Uint8Array): PortAnswer | undefined => {
    if (bytes[0] !== NAT_PMP_VERSION) return undefined;
    const { result, epoch, body } = decodeNatPmp(bytes);
    if (result !== NAT_PMP_RESULT.success) {
      return { answer: { type: "refused", refusal: "other", code: result, text: natPmpResultText(result), againSeconds: undefined }, epoch, externalAddress: undefined };
    }
    if (body.type !== "map" || body.protocol !== protocol || body.internalPort !== internalPort) return undefined;
    return { answer: mapped(body.externalPort, body.lifetime), epoch, externalAddress: undefined };
  };
  return await exchange({ path, pace, datagrams: [encodeNatPmpMap({ protocol, internalPort, externalPort, lifetime })], accept }, deps, signal);
}

/** A mapping that has ended as it was given is asked for again soon. */
function mapped(externalPort: number, given: number): MapAnswer {
  return { type: "mapped", externalPort, leaseSeconds: Math.max(1, given) };
}

/** The same on every node, so that the next holder may refresh and remove what this one has asked for (RFC 6887 11.3). */
function nonceOf({ uid }: Mapping): Uint8Array {
  const writer = new Writer(PCP_NONCE_LENGTH);
  for (let part = 0; part < PCP_NONCE_LENGTH / 4; part += 1) writer.u32(hashText(`${uid}/${part}`));
  return writer.finish();
}
