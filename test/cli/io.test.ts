import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const IO = fileURLToPath(new URL("../../src/cli/io.ts", import.meta.url));
const script = `import { processIo } from ${JSON.stringify(IO)}; if (process.argv[1] === "nonblocking") process.stdout._handle.setBlocking?.(false); processIo().out("x".repeat(1_000_000)); process.exit();`;

/** What a reader gets that takes its time, or its first line and goes. */
function piped(reader: string, mode: string): { readonly stdout: string; readonly stderr: string } {
  const { stdout, stderr } = spawnSync("sh", ["-c", `"$0" --input-type=module -e "$1" "$2" | { ${reader}; }`, process.execPath, script, mode], { encoding: "utf8" });
  return { stdout: stdout.trim(), stderr };
}

test.each(["blocking", "nonblocking"])("a report that is larger than a pipe reaches a slow reader whole, though the process exits at once (%s pipe)", (mode) => {
  expect(piped("sleep 0.3; wc -c", mode).stdout).toBe("1000001");
});

test("a reader that goes before the end is no error", () => {
  expect(piped("head -c 10", "blocking")).toEqual({ stdout: "x".repeat(10), stderr: "" });
});
