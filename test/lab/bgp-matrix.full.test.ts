import { expect, test } from "vitest";
import { failures, Matrix, matrixTable } from "./bgp-matrix.js";
import { DAEMONS, sessionsOf, type DaemonName } from "./bgp-matrix-net.js";

test("one process has 18 kinds of session with each of five daemons, all at once; each has exactly our routes, and loses what is withdrawn", async () => {
  const sessions = (Object.keys(DAEMONS) as DaemonName[]).flatMap((daemon) => sessionsOf(daemon));
  expect(sessions).toHaveLength(90);
  await using matrix = await Matrix.start(sessions);
  const announced = await matrix.outcome("all");
  const { code, stdout } = await matrix.peers();
  await matrix.withdraw();
  const withdrawn = await matrix.outcome("said");
  console.log(`announced\n${matrixTable(announced)}\nwithdrawn\n${matrixTable(withdrawn)}`);
  expect([...failures(announced), ...failures(withdrawn)]).toEqual([]);
  expect(code, stdout).toBe(0);
});
