// Makes npm packages in target/dist: one of each binary there, `estop`, which depends on all of them, and that of the
// reporter. As `estop` declares the others optional, npm installs the one for the machine and skips the rest. scripts/dist
// calls this.
//
//   node scripts/npm-packages.mjs DIST WHAT…

import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ALL = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

const [dist, ...made] = process.argv.slice(2);
const platforms = made.filter((what) => what !== "reporters");
const root = join(import.meta.dirname, "..");
const version = /^version = "(.+)"$/m.exec(readFileSync(join(root, "Cargo.toml"), "utf8"))[1];
const launcher = JSON.parse(readFileSync(join(root, "cli/npm/package.json"), "utf8"));

// The registry asks that it be that of the workflow which publishes.
const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env;
const repository = GITHUB_REPOSITORY && { type: "git", url: `git+${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}.git` };

/** Packs one, with these files besides its package.json and the licence. */
function pack(manifest, files) {
    const folder = mkdtempSync(join(tmpdir(), "estop-npm-"));
    try {
        for (const [name, source] of Object.entries({ ...files, LICENSE: "LICENSE" })) {
            cpSync(resolve(root, source), join(folder, name), { recursive: true });
        }
        if (manifest.bin) {
            chmodSync(join(folder, "bin/estop"), 0o755);
        }
        writeFileSync(join(folder, "package.json"), JSON.stringify({ ...manifest, repository }, null, 2));
        execFileSync("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", resolve(dist)], { cwd: folder });
    } finally {
        rmSync(folder, { recursive: true });
    }
}

for (const platform of platforms) {
    const [os, cpu] = platform.split("-");
    const { license, keywords, bin, files } = launcher;
    const manifest = {
        name: `@estop/cli-${platform}`,
        version,
        description: `The binary of estop for ${platform}. Install the package estop, which brings the right one.`,
        license,
        keywords,
        // npm links this one before that of `estop`, so that nothing stands between npx and the binary.
        bin,
        files,
        os: [os],
        cpu: [cpu],
        // Out of Yarn's archives: a program cannot be started from within one.
        preferUnplugged: true,
        publishConfig: { access: "public" },
    };
    pack(manifest, { "bin/estop": join(resolve(dist), `estop-${platform}`), "README.md": "cli/README.md" });
}
if (platforms.length < made.length) {
    const reporter = JSON.parse(readFileSync(join(root, "reporters/playwright/package.json"), "utf8"));
    const { scripts, devDependencies, ...manifest } = reporter;
    const source = "reporters/playwright";
    const files = { dist: `${source}/dist`, "README.md": `${source}/README.md` };
    pack({ ...manifest, publishConfig: { access: "public" } }, files);
}
const optionalDependencies = Object.fromEntries(ALL.map((platform) => [`@estop/cli-${platform}`, version]));
pack({ ...launcher, version, optionalDependencies }, { "bin/estop": "cli/npm/bin/estop", "README.md": "cli/README.md" });
