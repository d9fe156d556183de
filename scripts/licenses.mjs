// dist/THIRD_PARTY_LICENSES.txt: the license texts of what is inside of dist/vip, as most of them ask for. Plain JavaScript without dependencies.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const TEXT = /^(licen[cs]e|copying|notice)(\.(md|txt|markdown))?$/i;

/**
 * All texts, one after the other. `folders` are the packages, below `root`; Node's own file has those of the libraries that are linked into it.
 * A package that comes without its text has it in scripts/licenses, as its repository has it; one without any is an error: somebody has to look at it.
 */
export function thirdPartyLicenses(root, folders) {
  const parts = folders.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    const files = readdirSync(join(root, folder)).filter((file) => TEXT.test(file)).sort();
    const kept = join(root, "scripts/licenses", `${name.replaceAll("/", "-")}.txt`);
    const paths = files.length === 0 && existsSync(kept) ? [kept] : files.map((file) => join(root, folder, file));
    if (paths.length === 0) throw new Error(`licenses: ${folder} has no file with its license (${license})`);
    const texts = paths.map((path) => readFileSync(path, "utf8").trim());
    return `${"=".repeat(80)}\n${name} ${version} (${license})\n${"=".repeat(80)}\n\n${texts.join("\n\n")}\n`;
  });
  return parts.join("\n");
}
