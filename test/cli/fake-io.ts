import type { CommandIo } from "../../src/cli/io.js";

/** Remembers what a command says. */
export class FakeIo implements CommandIo {
  stdout = "";
  stderr = "";

  out(text: string): void {
    this.stdout += `${text}\n`;
  }

  err(text: string): void {
    this.stderr += `${text}\n`;
  }
}
