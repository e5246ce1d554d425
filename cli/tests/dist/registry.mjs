// An npm registry of the packages in a folder, and of installed ones. It prints its address and ends with its standard
// input.
//
//   node registry.mjs FOLDER INSTALLED…

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { basename, dirname, join } from "node:path";

const [folder, ...installed] = process.argv.slice(2);
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

for (const folder of installed) {
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    packages.push({ file: `${basename(folder)}.tgz`, manifest, folder });
}
/** An archive of a package that is installed. */
const archive = ({ folder }) =>
    folder && execFileSync("tar", ["-C", dirname(folder), "-cz", basename(folder)], { maxBuffer: 100_000_000 });

const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url.slice(1));
    const packed = packages.find(({ file }) => path.endsWith(`/-/${file}`));
    const named = packages.find(({ manifest }) => manifest.name === path);
    const bytes = packed && (packed.bytes ?? archive(packed));
    if (bytes) {
        response.end(bytes);
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
