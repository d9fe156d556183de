import type { IpAddress } from "../../lib/ip.js";
import type { MacAddress } from "../../lib/mac.js";
import { decodeUdpFrame, encodeUdpFrame } from "../udp.js";
import { DecodeError } from "../reader.js";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from "./codes.js";
import { decodeDhcp, encodeDhcp, type DhcpMessage } from "./message.js";

/** Ethernet, IPv4 without options, UDP. */
const PAYLOAD_OFFSET = 42;

/** A DHCP message with the frame that carries it. */
export interface DhcpFrame {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  readonly sourceIp: IpAddress;
  readonly destinationIp: IpAddress;
  readonly message: DhcpMessage;
}

/** The whole Ethernet frame from a client to a server. */
export function encodeClientFrame({ message, ...path }: DhcpFrame): Uint8Array {
  return encodeUdpFrame({ ...path, sourcePort: DHCP_CLIENT_PORT, destinationPort: DHCP_SERVER_PORT, payload: encodeDhcp(message) });
}

/** Reads a whole Ethernet frame that was sent to a client's port. Throws DecodeError, also for any other frame. */
export function decodeClientFrame(bytes: Uint8Array): DhcpFrame {
  const { destination, source, sourceIp, destinationIp, destinationPort, payload } = decodeUdpFrame(bytes);
  if (destinationPort !== DHCP_CLIENT_PORT) throw new DecodeError("value", 36, `UDP port ${destinationPort}, not ${DHCP_CLIENT_PORT},`);
  return { destination, source, sourceIp, destinationIp, message: decodeDhcp(payload, PAYLOAD_OFFSET) };
}
