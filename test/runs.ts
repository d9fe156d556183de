/**
 * How often something random is tried: all of `most` in `npm run test:full`, a part of it in every run. Seeds and counts are the same in every run of a kind,
 * so that what passed once passes again.
 */
export function runsOf(most: number, part = 4): number {
  return process.env["VIP_FULL"] === "1" ? most : Math.ceil(most / part);
}
