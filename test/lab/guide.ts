import { readFileSync } from "node:fs";

/** The text of a guide in docs/. */
export function guide(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
}

/** The example of a guide that begins with the comment `# <title>`, or `! <title>`. */
export function exampleOf(text: string, title: string): string {
  const [, example] = new RegExp(`^\`\`\`\\w*\\n([#!] ${title}\\n[^]*?)^\`\`\`$`, "m").exec(text) ?? [];
  if (example === undefined) throw new Error(`the guide has no example "${title}"`);
  return example;
}
