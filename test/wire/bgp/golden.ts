import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromHex } from "../hex.js";

export interface GoldenMessage {
  readonly sender: string;
  readonly octets: Uint8Array;
}

export const DAEMONS = ["bird", "frr", "gobgp", "exabgp", "openbgpd"] as const;

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), "../../golden/bgp");

/** The messages of one recorded session, both sides, in their order. */
export function goldenMessages(daemon: (typeof DAEMONS)[number]): readonly GoldenMessage[] {
  const lines = readFileSync(join(FOLDER, `${daemon}.txt`), "utf8").trim().split("\n");
  return lines.map((line) => {
    const [sender = "", hex = ""] = line.split(" ");
    return { sender, octets: fromHex(hex) };
  });
}

/** Everything of every session. */
export function allGolden(): readonly GoldenMessage[] {
  return DAEMONS.flatMap((daemon) => goldenMessages(daemon));
}
