import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/**/*.test.ts"], exclude: ["test/lab/**"] } },
      {
        // Network namespaces, real peers, the built binary: scripts/test.mjs runs this project inside namespaces of its own.
        test: { name: "lab", include: ["test/lab/**/*.test.ts"], fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000 },
      },
    ],
  },
});
