// Makes npm packages in target/dist: one of each binary there, and `estop`, which depends on all of them. As it declares
// them optional, npm installs the one for the machine and skips the others. scripts/dist calls this.
//
//   node scripts/npm-packages.mjs DIST PLATFORM…

import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ALL = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

const [dist, ...platforms] = process.argv.slice(2);
const root = join(import.meta.dirname, "..");
const version = /^version = "(.+)"$/m.exec(readFileSync(join(root, "Cargo.toml"), "utf8"))[1];
const launcher = JSON.parse(readFileSync(join(root, "cli/npm/package.json"), "utf8"));

// The registry asks that it be that of the workflow which publishes.
const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env;
const repository = GITHUB_REPOSITORY && { type: "git", url: `git+${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}.git` };

/** Packs one, with these files besides its package.json. */
function pack(manifest, files) {
    const folder = mkdtempSync(join(tmpdir(), "estop-npm-"));
    try {
        mkdirSync(join(folder, "bin"));
        for (const [name, source] of Object.entries({ ...files, "README.md": "cli/README.md", LICENSE: "LICENSE" })) {
            cpSync(resolve(root, source), join(folder, name));
        }
        chmodSync(join(folder, "bin/estop"), 0o755);
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
    pack(manifest, { "bin/estop": join(resolve(dist), `estop-${platform}`) });
}
const optionalDependencies = Object.fromEntries(ALL.map((platform) => [`@estop/cli-${platform}`, version]));
pack({ ...launcher, version, optionalDependencies }, { "bin/estop": "cli/npm/bin/estop" });
