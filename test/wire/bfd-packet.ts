import type { BfdPacket } from "../../src/wire/bfd.js";

/** The first packet of a session with the defaults of this program. */
export const PLAIN: BfdPacket = {
  diagnostic: 0,
  state: "Down",
  poll: false,
  final: false,
  controlPlaneIndependent: false,
  demand: false,
  multipoint: false,
  multiplier: 3,
  myDiscriminator: 1,
  yourDiscriminator: 0,
  desiredMinTx: 1_000_000,
  requiredMinRx: 300_000,
  requiredMinEchoRx: 0,
  authentication: undefined,
};
