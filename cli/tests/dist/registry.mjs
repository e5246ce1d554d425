// An npm registry of the packages in a folder, which prints its address and ends with its standard input.
//
//   node registry.mjs FOLDER

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const folder = process.argv[2];
const archives = readdirSync(folder).filter((file) => file.endsWith(".tgz"));
const packages = archives.map((file) => {
    const bytes = readFileSync(join(folder, file));
    const manifest = JSON.parse(execFileSync("tar", ["-xzOf", join(folder, file), "package/package.json"], { encoding: "utf8" }));
    return { file, bytes, manifest, integrity: `sha512-${createHash("sha512").update(bytes).digest("base64")}` };
});
// Those for platforms that were not made are known here, but cannot be downloaded, which nobody on this one should.
const optional = packages.flatMap(({ manifest }) => Object.entries(manifest.optionalDependencies ?? {}));
for (const [name, version] of optional.filter(([name]) => !packages.some(({ manifest }) => manifest.name === name))) {
    const [os, cpu] = name.split("-").slice(-2);
    packages.push({ file: "missing.tgz", manifest: { name, version, os: [os], cpu: [cpu] } });
}

const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url.slice(1));
    const archive = packages.find(({ file, bytes }) => bytes && path.endsWith(`/-/${file}`));
    const named = packages.find(({ manifest }) => manifest.name === path);
    if (archive) {
        response.end(archive.bytes);
    } else if (named) {
        const { name, version } = named.manifest;
        const dist = { tarball: `${address()}/${name}/-/${named.file}`, integrity: named.integrity };
        const versions = { [version]: { ...named.manifest, dist } };
        // Yarn installs nothing that was published less than a day ago.
        const time = { [version]: "2020-01-01T00:00:00.000Z" };
        response.setHeader("Content-Type", "application/json");
        response.end(JSON.stringify({ name, "dist-tags": { latest: version }, versions, time }));
    } else {
        response.statusCode = 404;
        response.end("{}");
    }
});
const address = () => `http://127.0.0.1:${server.address().port}`;
server.listen(0, "127.0.0.1", () => console.log(`registry ${address()} .`));
process.stdin.resume().on("end", () => process.exit());
