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
const packages = archives.map((file) => ({
    file,
    bytes: readFileSync(join(folder, file)),
    manifest: JSON.parse(execFileSync("tar", ["-xzOf", join(folder, file), "package/package.json"], { encoding: "utf8" })),
}));

const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url.slice(1));
    const archive = packages.find(({ file }) => path.endsWith(`/-/${file}`));
    const named = packages.find(({ manifest }) => manifest.name === path);
    if (archive) {
        response.end(archive.bytes);
    } else if (named) {
        const { name, version } = named.manifest;
        const integrity = `sha512-${createHash("sha512").update(named.bytes).digest("base64")}`;
        const dist = { tarball: `${address()}/${name}/-/${named.file}`, integrity };
        response.setHeader("Content-Type", "application/json");
        response.end(
            JSON.stringify({ name, "dist-tags": { latest: version }, versions: { [version]: { ...named.manifest, dist } } }),
        );
    } else {
        response.statusCode = 404;
        response.end("{}");
    }
});
const address = () => `http://127.0.0.1:${server.address().port}`;
server.listen(0, "127.0.0.1", () => console.log(`registry ${address()} .`));
process.stdin.resume().on("end", () => process.exit());
